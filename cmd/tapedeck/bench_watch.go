package main

import (
	"context"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"tapedeck/internal/load"
)

// watch reads what a server uses while a crowd is at it. What cannot be known stays nil.
type watch struct {
	cmd    *cobra.Command
	child  *child             // nil when the server was there already
	url    *url.URL           // where it is
	settle func(*watch) error // waits until memory is at rest; nil when nobody asks for that of a connection

	empty, connected *usage // with no connection, and with all of them, at rest
	begin, end       *usage // of what is measured
	loadBegin        time.Duration
	loadCPU          *time.Duration // of the crowd, while it measured

	metrics  map[string]float64 // at the beginning of what is measured
	appended *bucketQuantiles   // how long the tape took to make ticks durable, while it was measured
}

// usage reads what the server has used until now.
func (w *watch) usage() *usage {
	if w.child != nil {
		if u, err := groupUsage(w.child.cmd); err == nil {
			return &u
		}
		return nil
	}
	values, err := scrape(w.cmd, w.url.String())
	if err != nil {
		return nil
	}
	seconds, ok := values["process_cpu_seconds_total"]
	memory, also := values["process_resident_memory_bytes"]
	if !ok || !also {
		return nil
	}
	return &usage{cpu: time.Duration(seconds * float64(time.Second)), rss: int64(memory)}
}

// rest waits until memory is at rest, and reads what the server uses then: the least of a second.
func (w *watch) rest() (*usage, error) {
	if err := w.settle(w); err != nil {
		return nil, err
	}
	var least *usage
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for range 10 {
		if u := w.usage(); u != nil && (least == nil || u.rss < least.rss) {
			least = u
		}
		select {
		case <-w.cmd.Context().Done():
			return nil, context.Cause(w.cmd.Context())
		case <-ticker.C:
		}
	}
	return least, nil
}

// before is called before there are connections.
func (w *watch) before() (err error) {
	if w.settle != nil {
		w.empty, err = w.rest()
	}
	return err
}

// phase is called by the crowd.
func (w *watch) phase(_ context.Context, p load.Phase) (err error) {
	switch p {
	case load.PhaseConnected:
		if w.settle != nil {
			w.connected, err = w.rest()
		}
	case load.PhaseBegin:
		w.metrics, _ = scrape(w.cmd, w.url.String()) // a peer has none
		w.begin = w.usage()
		w.loadBegin, _ = ownCPU()
	case load.PhaseEnd:
		if cpu, ok := ownCPU(); ok {
			cpu -= w.loadBegin
			w.loadCPU = &cpu
		}
		w.end = w.usage()
		if after, err := scrape(w.cmd, w.url.String()); err == nil && w.metrics != nil {
			w.appended = quantiles("tapedeck_tape_append_seconds", w.metrics, after)
		}
	}
	return err
}
