package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"tapedeck/internal/market"
	"tapedeck/internal/natstape"
	"tapedeck/internal/store"
	"tapedeck/internal/tape"
)

// fillBatch is the number of ticks in a record of the data.
const fillBatch = 8192

// fill makes a data folder: ticks on the tape, and what the recorder makes of them. They end at a time.
func (f *query) fill(folder string, end market.Time) (_ *queryFilling, err error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	ctx := f.cmd.Context()
	log, err := natstape.Open(ctx, natstape.Options{Dir: folder})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	r := new(queryFilling)
	began := time.Now()
	if err := f.write(ctx, log, end); err != nil {
		return nil, err
	}
	r.AppendSeconds = time.Since(began).Seconds()
	began = time.Now()
	path := filepath.Join(folder, "store.db")
	if err := recordAll(ctx, path, log); err != nil {
		return nil, err
	}
	r.RecordSeconds = time.Since(began).Seconds()
	onTape, err := folderSize(filepath.Join(folder, "tape"))
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	r.TapeBytes = float64(onTape) / float64(f.ticks)
	r.StoreBytes = float64(info.Size()) / float64(f.ticks)
	return r, nil
}

// write puts the ticks on the tape: two trades and three quotes in five, of symbols by chance.
func (f *query) write(ctx context.Context, log *natstape.Log, end market.Time) error {
	rng := rand.New(rand.NewPCG(uint64(f.ticks), uint64(f.symbols)))
	type counter struct {
		trades, quotes uint64
		price          int64
	}
	counters := make([]counter, f.symbols)
	for i := range counters {
		counters[i].price = 1000 + rng.Int64N(50_000)
	}
	step := market.Time(f.days) * 24 * market.Hour / market.Time(f.ticks)
	at := end - step*market.Time(f.ticks)
	for done := 0; done < f.ticks; {
		b := &tape.Batch{Feed: "bench", Entries: make([]market.Entry, min(fillBatch, f.ticks-done))}
		for i := range b.Entries {
			k := rng.IntN(f.symbols)
			c := &counters[k]
			c.price = max(100, c.price+rng.Int64N(7)-3)
			at += step
			price, err := market.NewDecimal(c.price, -2)
			if err != nil {
				return err
			}
			size, err := market.NewDecimal(100*(1+rng.Int64N(9)), 0)
			if err != nil {
				return err
			}
			received := at + 1_000_000 + market.Time(rng.Int64N(2_000_000))
			if rng.IntN(5) < 2 {
				c.trades++
				b.Entries[i] = market.Trade{
					Symbol: f.symbol(k), Seq: c.trades, ID: c.trades, Event: at, Received: received, Price: price, Size: size, Side: market.SideBuy,
				}.Entry()
				continue
			}
			ask, err := market.NewDecimal(c.price+1+rng.Int64N(3), -2)
			if err != nil {
				return err
			}
			c.quotes++
			b.Entries[i] = market.Quote{
				Symbol: f.symbol(k), Seq: c.quotes, Event: at, Received: received, Bid: price, BidSize: size, Ask: ask, AskSize: size,
			}.Entry()
		}
		if _, err := log.Append(ctx, b); err != nil {
			return err
		}
		done += len(b.Entries)
	}
	return nil
}

// recordAll lets the recorder fill a store from a tape to its end.
func recordAll(ctx context.Context, path string, log *natstape.Log) (err error) {
	s, err := store.Open(ctx, store.Options{Path: path, Source: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	recording, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- store.NewRecorder(s, log).Run(recording) }()
	last := log.Bounds().Last
	for {
		if _, applied := s.Applied(); applied >= last {
			stop()
			return <-done
		}
		select {
		case err := <-done:
			stop()
			return err
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// folderSize returns the bytes of the files in a folder.
func folderSize(dir string) (size int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	return size, err
}
