<?php

// What text.php can write, by topic.

declare(strict_types=1);

return [
    'resume' => [
        'title' => 'What if the connection breaks?',
        'text' => 'Every message has an id, and the browser remembers the last one it saw. When the connection breaks, '
            . 'EventSource opens a new one by itself and sends that id along. Sidecast looks it up in the history of the '
            . 'channel and goes on with the message after it: nothing twice, nothing missing. If a client was away for '
            . 'so long that history has moved on, it is told so with an event of its own. A gap is never hidden.',
    ],
    'workers' => [
        'title' => 'Who holds all the connections?',
        'text' => 'Not PHP. A PHP-FPM worker that waits for news is a worker that serves nobody, and a pool of twenty '
            . 'is empty after twenty visitors. Here nginx passes the waiting requests to Sidecast, which keeps '
            . 'thousands of them in one small process. The page that writes this text has long since answered. '
            . 'It only goes on publishing, one word at a time.',
    ],
    'order' => [
        'title' => 'Do messages keep their order?',
        'text' => 'Yes. Each publisher’s messages arrive in the order it sent them, and Sidecast gives every message a '
            . 'number in one sequence over all channels. A window that listens to several channels on one connection '
            . 'sees them in that sequence, and after a reconnect it sees the same sequence go on. This text is a good '
            . 'test: one word out of place, and you would notice.',
    ],
];
