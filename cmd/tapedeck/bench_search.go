package main

import (
	"errors"
	"fmt"
	"time"

	"tapedeck/internal/feed/sim"
)

// How the highest rate is looked for: in steps of a factor first, then by halving what lies between the last rate that was kept up
// with and the first that was not.
const (
	firstDeliveries = 100_000 // a second, of the first step
	searchFactor    = 2
	halvings        = 3
	searchWarmup    = time.Second
	searchDuration  = 2 * time.Second

	// A rate is kept up with when this part of what it asks for arrives while it is measured, and the latency stays in bounds.
	keptPart = 0.98
)

// searchStep is a rate that was tried.
type searchStep struct {
	Rate                float64 `json:"ticks_per_second"`
	DeliveriesPerSecond float64 `json:"deliveries_per_second"`
	P99                 float64 `json:"p99_ms"`
	Kept                bool    `json:"kept"`
}

// search looks for the highest rate that every client keeps up with, and measures that. If the long measurement at that rate shows
// that it was too high after all, the next one is a tenth lower.
func (f *fanout) search(name string, start func(rate float64) (*child, error)) (fanoutRun, error) {
	var steps []searchStep
	first := firstDeliveries / float64(f.clients)
	if f.one {
		first *= float64(len(f.names))
	}
	rate, err := highest(max(1, first), sim.MaxRate, func(rate float64) (bool, error) {
		run, err := f.once(name, rate, min(searchWarmup, f.warmup), min(searchDuration, f.duration), start)
		if err != nil {
			return false, err
		}
		step := run.step(f.bound)
		steps = append(steps, step)
		fmt.Fprintf(f.cmd.ErrOrStderr(), "%s: %s ticks/s: %s deliveries/s, p99 %.1f ms, kept up: %t\n",
			name, count(rate), count(step.DeliveriesPerSecond), step.P99, step.Kept)
		return step.Kept, nil
	})
	if err != nil {
		return fanoutRun{}, err
	}
	for ; rate >= sim.MinRate; rate *= 0.9 {
		run, err := f.once(name, rate, f.warmup, f.duration, start)
		if err != nil {
			return fanoutRun{}, err
		}
		run.Tried = steps
		step := run.step(f.bound)
		if step.Kept || run.wrong() != nil {
			return run, nil
		}
		steps = append(steps, step)
	}
	return fanoutRun{}, errors.New("no rate was found that every client keeps up with")
}

// highest returns a rate up to most that try says yes to, near one that it says no to; a hundredth of first when it says no to all.
func highest(first, most float64, try func(rate float64) (bool, error)) (float64, error) {
	low, high := first/100, min(first, most)
	for {
		kept, err := try(high)
		if err != nil {
			return 0, err
		}
		if !kept {
			break
		}
		if low = high; low >= most {
			return low, nil
		}
		high = min(searchFactor*high, most)
	}
	for range halvings {
		middle := (low + high) / 2
		kept, err := try(middle)
		if err != nil {
			return 0, err
		}
		if kept {
			low = middle
		} else {
			high = middle
		}
	}
	return low, nil
}
