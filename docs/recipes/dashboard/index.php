<?php

declare(strict_types=1);

require __DIR__ . '/totals.php';

// The moment first, then the data: what changes in between is sent again, and nothing is missing.
$moment = (int) (microtime(true) * 1000);
$totals = totals();
?>
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Dashboard</title>
<h1>Today</h1>
<p>Orders: <b id="orders"></b></p>
<p>Turnover: <b id="turnover"></b></p>
<script>
  let newest = -1;

  function show({ orders, cents }) {
    if (orders <= newest) return; // two orders at once come from two processes, and the later may be the faster
    newest = orders;
    document.getElementById('orders').textContent = orders;
    document.getElementById('turnover').textContent = (cents / 100).toFixed(2);
  }
  show(<?= json_encode($totals) ?>);

  const events = new EventSource('/dashboard?cursor=<?= $moment ?>'); // from the moment of this page
  events.addEventListener('totals', (event) => show(JSON.parse(event.data)));
  events.addEventListener('sidecast.gap', () => location.reload());
</script>
</html>
