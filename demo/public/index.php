<?php

declare(strict_types=1);

require __DIR__ . '/../excerpt.php';

$texts = require __DIR__ . '/../texts.php';

header('Content-Type: text/html; charset=utf-8');
header("Content-Security-Policy: default-src 'self'"); // nothing from outside, no inline scripts

/** Files of the demo with their shown lines, name by name. */
function show_code(string ...$files): void
{
    foreach ($files as $file) { ?>
        <figure class="code">
            <figcaption><?= htmlspecialchars(basename($file)) ?></figcaption>
            <pre tabindex="0" aria-label="<?= htmlspecialchars(basename($file)) ?>"><code><?= excerpt(__DIR__ . '/' . $file) ?></code></pre>
        </figure>
    <?php }
}

?><!DOCTYPE html>
<html lang="en">
<head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>Sidecast demo</title>
    <link rel="icon" href="icon.svg">
    <link rel="stylesheet" href="app.css">
    <script defer src="connection.js"></script>
    <script defer src="chat.js"></script>
    <script defer src="chart.js"></script>
    <script defer src="text.js"></script>
    <script type="module" src="feed.js"></script>
</head>
<body>
<header class="top">
    <div>
        <h1>Sidecast</h1>
        <p>PHP pages publish. Browsers listen. No PHP process waits.</p>
    </div>
    <p class="state" id="connection" role="status">Connecting …</p>
</header>

<p class="path">
    <span>PHP page</span> <i>ZeroMQ →</i> <span class="self">sidecast</span> <i>FastCGI →</i> <span>nginx</span> <i>SSE →</i> <span>browser</span>
</p>

<main>
    <section class="panel" aria-labelledby="chat-title">
        <div class="live">
            <h2 id="chat-title">Chat</h2>
            <p class="about">Write in one window, read in the other. Your own line is shown at once; the broadcast leaves
                you out. <a href="./" target="_blank">Open a second window</a></p>
            <ul id="chat-log" class="chat" role="log" aria-label="Chat messages" tabindex="0"></ul>
            <form id="chat-form" class="row" autocomplete="off">
                <input type="hidden" name="client">
                <input class="name" name="name" aria-label="Your name" required maxlength="30">
                <input class="grow" name="text" aria-label="Your message" placeholder="Say something" required maxlength="500">
                <button>Send</button>
            </form>
        </div>
        <div class="source"><?php show_code('chat.php', 'chat.js') ?></div>
    </section>

    <section class="panel" aria-labelledby="chart-title">
        <div class="live">
            <h2 id="chart-title">Live chart</h2>
            <p class="about">A command-line script publishes a random walk, four values a second. Reload: the last half
                minute is there again, from history.</p>
            <p class="value"><span id="chart-value">–</span></p>
            <canvas id="chart-canvas" role="img" aria-label="The value of the last 30 seconds, between 0 and 100"></canvas>
        </div>
        <div class="source"><?php show_code('../chart.php', 'chart.js') ?></div>
    </section>

    <section class="panel" aria-labelledby="text-title">
        <div class="live">
            <h2 id="text-title">Text, word by word</h2>
            <p class="about">The page answers within milliseconds and then goes on publishing, each request to a channel of
                its own.</p>
            <form id="text-form" class="row">
                <select class="grow" name="topic" aria-label="Question">
                    <?php foreach ($texts as $topic => $text) { ?>
                    <option value="<?= htmlspecialchars($topic) ?>"><?= htmlspecialchars($text['title']) ?></option>
                    <?php } ?>
                </select>
                <button name="start">Ask</button>
            </form>
            <div class="text" tabindex="0" role="group" aria-label="Answer">
                <p id="text-output" aria-live="polite" aria-busy="false"></p>
            </div>
            <p id="text-state" class="about" role="status"></p>
        </div>
        <div class="source"><?php show_code('text.php', 'text.js') ?></div>
    </section>

    <section class="panel" aria-labelledby="connection-title">
        <div class="live">
            <h2 id="connection-title">One connection</h2>
            <p class="about">Chat and chart share one EventSource. When it breaks, the browser comes back by itself with the
                id of its last message, and gets what it missed.</p>
            <p class="about">Without HTTP/2, a browser opens at most six connections to one host, over all its windows:
                five windows of this page leave one for everything else.</p>
        </div>
        <div class="source"><?php show_code('connection.js') ?></div>
    </section>

    <section class="panel" aria-labelledby="feed-title">
        <div class="live">
            <h2 id="feed-title">Where EventSource is not enough</h2>
            <p class="about"><a href="sidecast.js">sidecast.js</a>, one short file to copy, comes back where EventSource
                gives up, long-polls where no stream gets through, and tells of gaps. Switch while it listens: the cursor
                goes along.</p>
            <form id="feed-form" class="row">
                <button name="toggle" class="steady">Listen</button>
                <label class="choice"><input type="checkbox" name="polls" autocomplete="off"> Long polls only</label>
            </form>
            <dl class="facts">
                <div><dt>State</dt><dd><span id="feed-state" class="state" role="status">Not listening</span></dd></div>
                <div><dt>Messages</dt><dd id="feed-count">0</dd></div>
                <div><dt>Gaps</dt><dd id="feed-gaps">0</dd></div>
                <div class="whole"><dt>Cursor</dt><dd id="feed-cursor">–</dd></div>
            </dl>
        </div>
        <div class="source"><?php show_code('feed.js') ?></div>
    </section>
</main>
</body>
</html>
