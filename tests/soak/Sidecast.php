<?php

declare(strict_types=1);

namespace Sidecast\Soak;

use Sidecast\EndToEnd\Daemon;
use Sidecast\EndToEnd\FastCgi;
use Sidecast\EndToEnd\PassedSockets;

/** The lives of sidecast on the same sockets and the same state, and what each has of the one before. */
final class Sidecast
{
    /** More than the sum of what a snapshot may be behind: looked at from there on. */
    private const BEFORE_SNAPSHOT_SECONDS = 10;
    private readonly Daemon $daemon;
    private readonly string $state;
    /** When the last two snapshots were complete. What was known before the first of them is in the second. */
    private int $snapshot = 0;
    private int $snapshotBefore = 0;
    private bool $mustRun = false;

    public function __construct(private readonly World $world)
    {
        $this->daemon = $world->stack->daemon;
        $this->state = "{$world->stack->directory}/state";
        mkdir($this->state, 0700);
        $this->daemon->passed = PassedSockets::of($this->daemon);
    }

    /** @param string $build release or check */
    public function start(string $build, int $workers): void
    {
        putenv('SIDECAST_BINARY=' . dirname(__DIR__, 2) . ($build === 'release' ? '/build/sidecast' : '/build/check/sidecast'));
        $this->daemon->start(['hub.state_dir' => $this->state, 'hub.workers' => (string) $workers]);
        $this->world->figures->count("starts of the $build build");
        $this->mustRun = true;
    }

    /** Looks whether it is there, and whether there is a new snapshot. */
    public function goOn(): void
    {
        if ($this->mustRun && !$this->daemon->isRunning()) {
            $this->mustRun = false;
            $this->checkEnd();
            throw new \RuntimeException('sidecast has ended by itself');
        }
        clearstatcache();
        $time = (int) @filemtime("$this->state/history.snapshot");
        if ($time > $this->snapshot) {
            [$this->snapshotBefore, $this->snapshot] = [$this->snapshot, $time];
        }
    }

    public function stop(): void
    {
        $this->mustRun = false;
        $this->daemon->process->signal(SIGTERM);
        $this->world->until(fn () => !$this->daemon->isRunning(), 'sidecast to end');
        $this->checkEnd();
    }

    private function checkEnd(): void
    {
        try {
            $this->daemon->assertCleanEnd();
        } catch (\PHPUnit\Framework\AssertionFailedError $error) {
            $this->world->findings->add(Findings::ENDS, $error->getMessage());
        }
    }

    /** Kills it and starts the next; looks at what was lost. */
    public function crash(string $build, int $workers): void
    {
        $this->mustRun = false;
        $this->world->figures->count('kills');
        $this->daemon->kill();
        $time = microtime(true);
        $this->goOn();
        $from = $this->world->ledger->newestKnownBefore($this->snapshotBefore - self::BEFORE_SNAPSHOT_SECONDS);
        $boundary = EventId::first((int) file_get_contents("$this->state/next-id"));
        $this->start($build, $workers);

        $survivors = $this->survivors($from, $boundary);
        $this->world->ledger->crashes[] = new Crash($from, $boundary, $survivors, $time);
        foreach ($this->world->ledger->missing($from, $this->snapshotBefore, $boundary) as $id) {
            $this->world->findings->add(Findings::SURVIVES, "$id is gone, which must have been in the snapshot of $this->snapshot");
        }
    }

    public function reload(): void
    {
        $log = $this->daemon->process->err;
        $before = substr_count($log->text, 'reload: done');
        $this->daemon->configure(['hub.pace' => mt_rand(1, 40) . 'ms', 'sse.heartbeat' => mt_rand(2, 10) . 's']);
        $this->daemon->process->signal(SIGHUP);
        $this->world->until(fn () => substr_count($log->text, 'reload: done') > $before, 'the reload');
        $this->world->figures->count('reloads of sidecast');
    }

    /** @return array<string, int> what it says of itself */
    public function metrics(): array
    {
        $log = $this->daemon->process->err;
        $before = strlen($log->text);
        $this->daemon->process->signal(SIGUSR1);
        // the second line, in full; others may come between
        $this->world->until(fn () => preg_match('/^notice metrics .*\bhistory_bytes=.*\n/m', substr($log->text, $before)) === 1, 'the metrics');
        preg_match_all('/ (\w+)=(\d+)/', substr($log->text, $before), $matches);
        return array_combine($matches[1], array_map(intval(...), $matches[2]));
    }

    /** Asks each worker for something: it makes its decoder's file then, and has it from then on. */
    public function wakeWorkers(): void
    {
        for ($i = 0; $i < 8; $i++) {
            $connection = $this->daemon->fastcgi();
            $connection->request(FastCgi::params('', ['SIDECAST_ENDPOINT' => 'health']))->wait();
            $connection->close();
        }
    }

    public function pid(): int
    {
        return $this->daemon->process->pid;
    }

    /**
     * Asks it for all messages between the two ids.
     *
     * @return array<int, true>
     */
    private function survivors(int $from, int $boundary): array
    {
        $cursor = EventId::text($from);
        $survivors = [];
        do {
            $connection = $this->daemon->fastcgi();
            $params = ['SIDECAST_PATTERNS' => '**', 'HTTP_ACCEPT' => 'application/json'];
            $answer = $connection->request(FastCgi::params("channel=**&cursor=$cursor", $params))->json();
            $connection->close();
            foreach ($answer['messages'] as $message) {
                $id = EventId::number($message['id']);
                $this->world->ledger->learn($id, $message['data']);
                if ($id < $boundary) {
                    $survivors[$id] = true;
                }
            }
            $cursor = $answer['cursor'];
        } while ($answer['messages'] !== [] && EventId::number($cursor) < $boundary);
        return $survivors;
    }
}
