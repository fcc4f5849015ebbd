package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// endWithUs lets a command be killed when this process is, so that no server is left behind. It comes after ownGroup.
func endWithUs(cmd *exec.Cmd) { cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL }

// clockTick is the unit of processor time in /proc: USER_HZ is 100 on every Linux.
const clockTick = 10 * time.Millisecond

// usage is what the processes of a group have used.
type usage struct {
	cpu time.Duration
	rss int64 // bytes of memory at this moment
}

// groupUsage reads what the process group of a command has used (proc_pid_stat(5)).
func groupUsage(cmd *exec.Cmd) (u usage, err error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return u, err
	}
	group := strconv.Itoa(cmd.Process.Pid)
	found := false
	for _, name := range stats {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended since
		}
		// The name of the program, in brackets, may hold anything.
		_, rest, ok := strings.Cut(string(text[strings.LastIndexByte(string(text), ')')+1:]), " ")
		fields := strings.Fields(rest)
		const pgrp, utime, stime = 2, 11, 12
		if !ok || len(fields) <= stime || fields[pgrp] != group {
			continue
		}
		for _, i := range []int{utime, stime} {
			n, err := strconv.ParseInt(fields[i], 10, 64)
			if err != nil {
				return u, err
			}
			u.cpu += time.Duration(n) * clockTick
		}
		u.rss += rss(filepath.Dir(name))
		found = true
	}
	if !found {
		return u, errors.New("the server has ended")
	}
	return u, nil
}

// rss returns the memory of a process as the page tables have it; the counters in stat lag behind by some pages a thread.
func rss(dir string) int64 {
	text, err := os.ReadFile(filepath.Join(dir, "smaps_rollup"))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "Rss:" {
			n, err := strconv.ParseInt(fields[1], 10, 64)
			if err != nil {
				return 0
			}
			return n << 10
		}
	}
	return 0
}
