//go:build unix

package main

import (
	"fmt"
	"os/exec"
	"syscall"
	"time"
)

// ownGroup puts a command into a process group of its own, so that it is measured and ended with what it starts itself.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// signalGroup asks the group of a command to end, or kills it.
func signalGroup(cmd *exec.Cmd, kill bool) error {
	signal := syscall.SIGTERM
	if kill {
		signal = syscall.SIGKILL
	}
	return syscall.Kill(-cmd.Process.Pid, signal)
}

// ownCPU returns the processor time that this process has used.
func ownCPU() (time.Duration, bool) {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0, false
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), true
}

// allowDescriptors makes sure that this process, and those that it starts, may have n open files each.
func allowDescriptors(n int) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("read the limit of open files: %w", err)
	}
	had := limit.Cur
	raise(&limit.Cur, n)
	raise(&limit.Max, n)
	if limit.Cur == had {
		return nil
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("%d open files are needed and the limit is %d: raise it with ulimit -n %d, or ask for fewer clients", n, had, n)
	}
	return nil
}

// raise makes a limit, whose type differs between systems, at least n.
func raise[T int64 | uint64](limit *T, n int) { *limit = max(*limit, T(n)) }
