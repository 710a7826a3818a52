// The demo's programs as demo/run.sh starts them, in a private directory under build/browser: for tests that stop and restart
// one of them, or give sidecast other options.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
const READY_WITHIN_MS = 20_000;
const PATH = `${process.env.PATH}:/usr/local/sbin:/usr/sbin:/sbin`; // where Debian keeps nginx and php-fpm, for users too

// Whatever ends this process, its children go with it.
const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill()));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

async function freePort() {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address();
    server.close();
    await once(server, 'close');
    return port;
}

/** Asks again and again until it is true; fails after READY_WITHIN_MS. */
export async function until(what, isTrue) {
    const end = performance.now() + READY_WITHIN_MS;
    while (!(await isTrue())) {
        if (performance.now() > end) throw new Error(`waited in vain for ${what}`);
        await delay(10);
    }
}

export class Stack {
    #dir;
    #children = new Map(); // by name
    #options;
    #phpFpm;

    /** Starts nginx, php-fpm and sidecast, with `options` (--section.option=value) and a `secret` for tokens for the last. */
    static async start({ options = [], secret } = {}) {
        const stack = new Stack();
        mkdirSync(join(ROOT, 'build/browser'), { recursive: true });
        stack.#dir = mkdtempSync(join(ROOT, 'build/browser/run-'));
        stack.#options = secret ? [...options, stack.#writeSecret(secret)] : options;
        stack.port = await freePort();
        stack.url = `http://127.0.0.1:${stack.port}`;
        stack.#phpFpm = 'php-fpm' + (await output('php', ['-r', 'echo PHP_MAJOR_VERSION, ".", PHP_MINOR_VERSION;']));
        stack.#writeConfiguration();
        stack.startPhp();
        stack.#spawn('nginx', 'nginx', ['-e', 'stderr', '-p', stack.#dir, '-c', `${stack.#dir}/nginx.conf`]);
        try {
            await stack.startSidecast();
            await until('nginx and php-fpm to answer', () => fetch(stack.url).then((answer) => answer.ok, () => false));
        } catch (error) {
            await stack.stop();
            throw error;
        }
        return stack;
    }

    startPhp() {
        const asRoot = process.getuid() === 0 ? ['-R'] : [];
        this.#spawn('php-fpm', this.#phpFpm, ['-F', '-y', `${this.#dir}/php-fpm.conf`, '-p', this.#dir, ...asRoot]);
    }

    async stopPhp() {
        await this.#end('php-fpm');
    }

    async startSidecast() {
        const config = ['-c', `${this.#dir}/sidecast.ini`];
        this.#spawn('sidecast', `${ROOT}/build/check/sidecast`, [...config, ...this.#options]);
        await until('sidecast to answer', () => exitCode(`${ROOT}/build/check/sidecast`, ['--healthcheck', ...config]).then((code) => code === 0));
    }

    /** Ends it as an operator does; insists on a clean end (the sanitizers speak through the exit code). */
    async stopSidecast() {
        const code = await this.#end('sidecast');
        if (code !== 0) throw new Error(`sidecast ended with ${code}: ${this.log('sidecast')}`);
    }

    startChart() {
        const env = { ...process.env, SIDECAST_PUBLISH: `ipc://${this.#dir}/publish.sock` };
        this.#spawn('chart', 'php', [`${ROOT}/demo/chart.php`], env);
    }

    /** Reloads nginx. The old worker process cuts its streams soon after (worker_shutdown_timeout below). */
    reloadNginx() {
        this.#children.get('nginx').kill('SIGHUP');
    }

    /** Publishes a chat message through the demo's page, as somebody who has no window. Returns whether it was taken. */
    async say(text) {
        const body = new URLSearchParams({ client: 'test', name: 'Test', text });
        return (await fetch(`${this.url}/chat.php`, { method: 'POST', body })).status === 204;
    }

    /** Publishes as an operator does. Returns whether it was taken. */
    async publish(channel, data) {
        return await exitCode(`${ROOT}/build/check/sidecast`, ['publish', `--endpoint=ipc://${this.#dir}/confirm.sock`, channel, data]) === 0;
    }

    log(name) {
        return readFileSync(`${this.#dir}/${name}.log`, 'utf8').slice(-3000);
    }

    async stop() {
        const names = [...this.#children.keys()];
        await Promise.all(names.filter((name) => name !== 'sidecast').map((name) => this.#end(name)));
        if (this.#children.has('sidecast')) await this.stopSidecast();
        rmSync(this.#dir, { recursive: true });
    }

    #spawn(name, program, args, env = process.env) {
        const log = openSync(`${this.#dir}/${name}.log`, 'a');
        const child = spawn(program, args, { stdio: ['ignore', log, log], env: { ...env, PATH } });
        closeSync(log);
        this.#children.set(name, child);
        running.add(child);
        child.on('exit', () => running.delete(child));
    }

    async #end(name) {
        const child = this.#children.get(name);
        this.#children.delete(name);
        if (child.exitCode === null && child.signalCode === null) {
            child.kill('SIGTERM');
            await once(child, 'exit');
        }
        return child.exitCode ?? child.signalCode;
    }

    #writeSecret(secret) {
        writeFileSync(`${this.#dir}/secret`, secret, { mode: 0o600 });
        return `--token.secret_file=${this.#dir}/secret`;
    }

    #writeConfiguration() {
        mkdirSync(`${this.#dir}/snippets`);
        mkdirSync(`${this.#dir}/tmp`);
        for (const snippet of ['http', 'errors', 'location', 'handoff', 'page']) {
            this.#render(`nginx/sidecast-${snippet}.conf`, `snippets/sidecast-${snippet}.conf`);
        }
        for (const file of ['nginx.conf', 'php-fpm.conf', 'sidecast.ini']) this.#render(`demo/${file}.in`, file);
    }

    /** Beside the demo: the pages with a session that hand off, at the same address. */
    #handoff() {
        const php = `root ${ROOT}/tests/e2e/pages; fastcgi_pass "unix:${this.#dir}/php-fpm.sock";
            fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name; fastcgi_param REQUEST_METHOD $request_method;
            fastcgi_param CONTENT_LENGTH $content_length; fastcgi_param CONTENT_TYPE $content_type;`;
        return `include "${this.#dir}/snippets/sidecast-handoff.conf";
            location = /events.php { include "${this.#dir}/snippets/sidecast-page.conf"; ${php} }
            location = /session.php { ${php} }`;
    }

    /** As demo/run.sh does it; and what takes long by design is made short. */
    #render(template, file) {
        const text = readFileSync(`${ROOT}/${template}`, 'utf8')
            .replace(/^( +)location = \/events {$/m, (events) => `${this.#handoff()}\n${events}`)
            .replaceAll('@ROOT@', ROOT)
            .replaceAll(/@DIR@|@SOCKETS@/g, this.#dir)
            .replaceAll('@PORT@', this.port)
            .replaceAll('@USER_LINE@', process.getuid() === 0 ? 'user root;' : '')
            .replaceAll('@USER@', userInfo().username)
            .replaceAll('/run/sidecast/fastcgi.sock', `${this.#dir}/sidecast.sock`)
            .replaceAll('/var/log/nginx/sidecast.log', `"${this.#dir}/events.log"`)
            .replaceAll(/(9%|\*) +\d+;/g, '$1 1;') // while sidecast is away, streams come back after 1 s
            .replace('daemon off;', 'daemon off;\nworker_shutdown_timeout 100ms;')
            .replaceAll('include snippets/', `include ${this.#dir}/snippets/`);
        writeFileSync(`${this.#dir}/${file}`, text);
    }
}

async function exitCode(program, args) {
    const child = spawn(program, args, { stdio: 'ignore', env: { ...process.env, PATH } });
    return (await once(child, 'exit'))[0];
}

async function output(program, args) {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, PATH } });
    let text = '';
    child.stdout.on('data', (data) => (text += data));
    await once(child, 'close');
    return text;
}
