<?php

// Stands for your site: who is logged in, a page with the notifications, and a form that sends one.

declare(strict_types=1);

session_start();

if ($_SERVER['REQUEST_METHOD'] === 'POST' && preg_match('/^[a-z]{1,20}$/D', $_POST['login'] ?? '')) {
    session_regenerate_id(true);
    $_SESSION['user'] = $_POST['login']; // your login asks for a password
    header('Location: index.php', true, 303);
    exit;
}
$user = $_SESSION['user'] ?? null;
?>
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Notifications</title>
<?php if ($user === null): ?>
<form method="post">
  <label>Your name: <input name="login" pattern="[a-z]{1,20}" placeholder="ada" required></label>
  <button>Log in</button>
</form>
<?php else: ?>
<h1>Notifications for <?= htmlspecialchars($user) ?></h1>
<p id="state">…</p>
<ul id="list"></ul>
<form id="form">
  <label>To <input name="to" pattern="[a-z]{1,20}" required></label>
  <label>Text <input name="text" maxlength="200" required></label>
  <button>Send</button>
</form>
<script>
  const state = document.getElementById('state');
  const events = new EventSource('/notifications?last=20'); // the last 20, then what comes

  events.addEventListener('notification', (event) => {
    const { from, text } = JSON.parse(event.data);
    const item = document.createElement('li');
    item.textContent = `${from}: ${text}`;
    document.getElementById('list').prepend(item);
  });
  events.addEventListener('sidecast.gap', () => location.reload());
  events.onopen = () => { state.textContent = 'live'; };
  events.onerror = () => {
    // CLOSED: an answer that was not 200, here the 401 of a session that is over. Everything else comes back by itself.
    state.textContent = events.readyState === EventSource.CLOSED ? 'Please log in again.' : 'connecting …';
  };

  document.getElementById('form').addEventListener('submit', async (event) => {
    event.preventDefault();
    const answer = await fetch('notify.php', { method: 'POST', body: new FormData(event.target) });
    if (answer.ok) event.target.reset();
  });
</script>
<?php endif ?>
</html>
