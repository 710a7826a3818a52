// What one writes in an hour with Node and no packages: a broadcaster of server-sent events.
//
//     node server.js SOCKET-OR-ADDRESS:PORT
//
// GET /events?channel=NAME listens, POST /publish?channel=NAME says the body to all who do. No history, no limits.
'use strict';

const http = require('node:http');

const channels = new Map(); // name → responses of those who listen
let lastId = 0;

function listen(channel, response) {
    const listeners = channels.get(channel) ?? new Set();
    channels.set(channel, listeners.add(response));
    response.on('close', () => listeners.delete(response));
    response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
    response.write(':\nretry: 3000\n');
}

function publish(channel, request, response) {
    const parts = [];
    request.on('data', (part) => parts.push(part));
    request.on('end', () => {
        const event = Buffer.from(`id: ${++lastId}\ndata: ${Buffer.concat(parts)}\n\n`);
        for (const listener of channels.get(channel) ?? []) listener.write(event);
        response.writeHead(202, { 'Content-Length': 0 }).end();
    });
}

const server = http.createServer((request, response) => {
    const url = new URL(request.url, 'http://localhost');
    const channel = url.searchParams.get('channel');
    if (request.method === 'POST' && url.pathname === '/publish') publish(channel, request, response);
    else if (request.method === 'GET' && url.pathname === '/events') listen(channel, response);
    else response.writeHead(404).end();
});

server.keepAliveTimeout = 0; // publishers keep their connections
const [, address, port] = /^(.*):([0-9]+)$/.exec(process.argv[2]) ?? [];
server.listen(port ? { host: address, port: Number(port), backlog: 4096 } : { path: process.argv[2], backlog: 4096 });
