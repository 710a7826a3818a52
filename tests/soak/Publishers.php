<?php

declare(strict_types=1);

namespace Sidecast\Soak;

use Sidecast\EndToEnd\AcknowledgedPublisher;
use Sidecast\EndToEnd\Process;
use Sidecast\EndToEnd\Publisher;

/** Publishers of all kinds, at a bounded rate; they go at each break, and others come after it. */
final class Publishers
{
    private const CONFIRMED = 3;
    private const CRASHING_AT_ONCE = 2;
    /** @var list<array{publisher: AcknowledgedPublisher, every: float, next: float}> */
    private array $acknowledged = [];
    /** @var list<HttpPublisher> */
    private array $http = [];
    private ?Publisher $push = null;
    private float $nextPush = 0;
    private float $nextCrash = 0;
    /** @var list<Process> */
    private array $crashing = [];
    private int $round = 0;
    private int $number = 0;
    private bool $runs = false;

    public function __construct(private readonly World $world)
    {
    }

    public function begin(): void
    {
        $this->round++;
        $this->runs = true;
        $daemon = $this->world->stack->daemon;
        for ($i = 1; $i <= self::CONFIRMED; $i++) {
            $this->add("req$i", Channels::kept(), 0.3, "\n" . str_repeat("line\n", mt_rand(0, 50)));
        }
        foreach (Channels::short() as $channel) {
            $isBulk = str_starts_with($channel, 'bulk');
            $this->add(strtr($channel, '/', '-'), $channel, $isBulk ? 0.25 : 0.1, $isBulk ? "\n" . str_repeat('x', 24000) : '');
        }
        $this->http = [new HttpPublisher($this->world, "http1-$this->round", 0.3), new HttpPublisher($this->world, "http2-$this->round", 0.5)];
        $this->push = new Publisher($daemon->publishEndpoint());
    }

    /** Nobody publishes any more, and nobody is connected. */
    public function end(): void
    {
        $this->runs = false;
        $this->acknowledged = $this->http = [];
        $this->push = null;
        gc_collect_cycles();
        $this->world->until(fn () => $this->reap() === [], 'the crashing publishers to be gone');
    }

    public function goOn(): void
    {
        if (!$this->runs) {
            return;
        }
        $now = microtime(true);
        foreach ($this->acknowledged as &$each) {
            if ($each['next'] <= $now) {
                $each['next'] = $now + $each['every'] * mt_rand(500, 1500) / 1000;
                $this->takeAnswers($each['publisher']);
            }
        }
        unset($each);
        foreach ($this->http as $publisher) {
            $publisher->goOn();
        }
        if ($this->nextPush <= $now) {
            $this->nextPush = $now + mt_rand(20, 180) / 1000;
            $this->push();
        }
        $this->reap();
        if ($this->nextCrash <= $now && count($this->crashing) < self::CRASHING_AT_ONCE) {
            $this->nextCrash = $now + mt_rand(1000, 8000) / 1000;
            $this->crash();
        }
    }

    private function add(string $name, string $channel, float $every, string $rest): void
    {
        $endpoint = $this->world->stack->daemon->confirmEndpoint();
        $publisher = new AcknowledgedPublisher($endpoint, "$channel $name-$this->round", $channel, $rest);
        $this->acknowledged[] = ['publisher' => $publisher, 'every' => $every, 'next' => 0.0];
    }

    private function takeAnswers(AcknowledgedPublisher $publisher): void
    {
        $publisher->goOn();
        foreach ($publisher->acknowledged as $id => $data) {
            $this->world->figures->count('acknowledged');
            $this->world->ledger->learn(EventId::number($id), $data);
        }
        $publisher->acknowledged = [];
    }

    private function push(): void
    {
        $channel = Channels::kept();
        $number = $this->number++;
        [$mark, $options] = match (mt_rand(1, 20)) {
            1 => [' volatile', ['store' => false]],
            2, 3 => [' except=client-' . ($client = mt_rand(1, 100)), ['except' => "client-$client"]],
            4 => ['', ['event' => 'tick']],
            default => ['', []],
        };
        $this->push->publish($channel, "$channel push$this->round/$number$mark", $options);
        $this->world->figures->count('pushed');
    }

    private function crash(): void
    {
        $how = mt_rand(0, 1) === 1 ? 'multipart' : 'stream';
        $name = 'crash' . $this->world->figures->of('publishers that crashed');
        $channels = array_values(array_unique([Channels::kept(), Channels::kept(), Channels::kept()]));
        $endpoint = $this->world->stack->daemon->publishEndpoint();
        $command = [PHP_BINARY, __DIR__ . '/crasher.php', $how, $endpoint, $name, (string) mt_rand(20, 100), ...$channels];
        $this->crashing[] = new Process([...Process::alone(), ...$command]);
        $this->world->figures->count('publishers that crashed');
    }

    /** @return list<Process> those that still run */
    private function reap(): array
    {
        foreach ($this->crashing as $index => $process) {
            if (!$process->isRunning()) {
                if ($process->exitCode() !== -SIGKILL) {
                    $said = $process->out->text . $process->err->text;
                    $this->world->findings->add(Findings::ENDS, "a crashing publisher ended with {$process->exitCode()}: $said");
                }
                unset($this->crashing[$index]);
            }
        }
        return $this->crashing;
    }
}
