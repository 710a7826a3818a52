<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

/** A program that the suite started: its outputs, signals to it by process id, its end. */
final class Process
{
    public readonly int $pid;
    public readonly Drain $out;
    public readonly Drain $err;
    /** @var resource */
    private $handle;
    private ?int $exitCode = null;
    /** @var array<int, self> those to be killed if the suite ends early */
    private static array $running = [];

    /**
     * @param list<string> $command
     * @param ?string $log file to which both outputs are copied
     * @param array<int, resource> $descriptors further streams that it gets, by number
     */
    public function __construct(array $command, ?string $log = null, array $descriptors = [])
    {
        $pipes = [];
        $outputs = [['file', '/dev/null', 'r'], ['pipe', 'w'], ['pipe', 'w']];
        $handle = proc_open($command, $outputs + $descriptors, $pipes);
        if ($handle === false) {
            throw new \RuntimeException('cannot start ' . implode(' ', $command));
        }
        $this->handle = $handle;
        $this->pid = proc_get_status($handle)['pid'];
        $this->out = new Drain($pipes[1], $log);
        $this->err = new Drain($pipes[2], $log);
        if (self::$running === []) {
            register_shutdown_function(self::killRest(...));
        }
        self::$running[$this->pid] = $this;
    }

    /**
     * What stands before a command that is to have no descriptor above the given one: curl's sockets would be inherited, and stay open
     * when the client has gone.
     *
     * @return list<string>
     */
    public static function alone(int $last = 2): array
    {
        $script = 'for file in /proc/$$/fd/*; do number=${file##*/}; [ "$number" -le "$0" ] || exec {number}>&-; done; exec "$@"';
        return ['bash', '-c', $script, (string) $last];
    }

    /**
     * Runs a program to its end.
     *
     * @param list<string> $command
     */
    public static function run(array $command): self
    {
        $process = new self($command);
        try {
            $process->waitForExit();
        } finally {
            $process->signal(SIGKILL);
        }
        return $process;
    }

    public function isRunning(): bool
    {
        if ($this->exitCode !== null) {
            return false;
        }
        $status = proc_get_status($this->handle);
        if ($status['running']) {
            return true;
        }
        // a negative number tells the signal that ended it
        $this->exitCode = $status['signaled'] ? -$status['termsig'] : $status['exitcode'];
        unset(self::$running[$this->pid]);
        $this->out->finish();
        $this->err->finish();
        return false;
    }

    public function signal(int $number): void
    {
        if ($this->isRunning()) {
            posix_kill($this->pid, $number);
        }
    }

    /** Waits for the end and returns the exit code; a negative number is the signal that ended it. */
    public function waitForExit(float $seconds = Loop::PATIENCE): int
    {
        Loop::until(fn () => !$this->isRunning(), "process {$this->pid} to end", $seconds);
        return (int) $this->exitCode;
    }

    public function exitCode(): ?int
    {
        $this->isRunning();
        return $this->exitCode;
    }

    /** Waits until the program has written something that matches the pattern to its error output. */
    public function waitForLog(string $pattern): void
    {
        Loop::until(fn () => preg_match($pattern, $this->err->text) === 1, "a log line like $pattern");
    }

    private static function killRest(): void
    {
        foreach (self::$running as $process) {
            $process->signal(SIGCONT);
            $process->signal(SIGKILL);
        }
    }
}
