package feed_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"tapedeck/internal/feed"
	"tapedeck/internal/feed/feedtest"
	"tapedeck/internal/market"
	"tapedeck/internal/tape"
	"tapedeck/internal/tape/tapetest"
)

// rig runs a feed on a tape in memory. It is used within a synctest bubble.
type rig struct {
	t       *testing.T
	tape    *tapetest.Memory
	opener  *feedtest.Opener
	runner  *feed.Runner
	metrics *prometheus.Registry
	stop    context.CancelFunc
	ended   chan error
}

func newRig(t *testing.T, tp *tapetest.Memory, sources ...feed.Source) *rig {
	t.Helper()
	u, err := feed.ParseURL("fake://x?name=f&key=hunter2")
	if err != nil {
		t.Fatal(err)
	}
	g := &rig{t: t, tape: tp, opener: &feedtest.Opener{Sources: sources}, metrics: prometheus.NewRegistry(), ended: make(chan error, 1)}
	m, err := feed.NewMetrics(g.metrics)
	if err != nil {
		t.Fatal(err)
	}
	n := len(tp.Records())
	w, err := feed.NewWriter(t.Context(), feed.WriterOptions{Tape: tp, Listings: store(tp, n), From: tape.Position(n + 1)})
	if err != nil {
		t.Fatal(err)
	}
	g.runner, err = feed.NewRunner(feed.RunnerOptions{
		URL: u, Open: g.opener.Open, Writer: w, Log: slog.New(slog.DiscardHandler), Metrics: m, Buffer: 1 << 20,
		Random: func(n int64) int64 { return n - 1 },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	g.stop = cancel
	go func() { g.ended <- g.runner.Run(ctx) }()
	return g
}

// end stops the feed and returns what Run returned.
func (g *rig) end() error {
	g.stop()
	return <-g.ended
}

// value returns a measurement, added up over all labels but those given as name=value.
func (g *rig) value(name string, labels ...string) float64 {
	g.t.Helper()
	families, err := g.metrics.Gather()
	if err != nil {
		g.t.Fatal(err)
	}
	var sum float64
	for _, f := range families {
		if f.GetName() != "tapedeck_feed_"+name {
			continue
		}
		for _, m := range f.GetMetric() {
			matches := 0
			for _, l := range m.GetLabel() {
				for _, want := range labels {
					if l.GetName()+"="+l.GetValue() == want {
						matches++
					}
				}
			}
			if matches == len(labels) {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// outline writes entries as words: "live", "A1" for trade 1 of symbol A, "gap 5-9 reason", "beat".
func outline(entries []market.Entry) []string {
	var words []string
	for _, e := range entries {
		switch e.Kind {
		case market.KindTrade, market.KindQuote:
			words = append(words, fmt.Sprintf("%s%d", e.Symbol.Name(), e.Seq))
		case market.KindGap:
			words = append(words, fmt.Sprintf("gap %s", e.Text))
		case market.KindStatus:
			words = append(words, strings.TrimSpace(e.Symbol.Name()+" "+e.State.String()))
		case market.KindHeartbeat:
			words = append(words, "beat")
		case market.KindAlarm, market.KindBar:
			words = append(words, "alarm")
		}
	}
	return words
}

func now() market.Time { return market.FromStd(time.Now()) }

// trade is a trade of now with an id.
func trade(symbol string, id uint64) market.Entry {
	e := tick(market.KindTrade, market.Symbol("F:"+symbol), now(), 100)
	e.ID = id
	return e
}

// send pushes trades of the moment at which it is called.
func send(symbol string, ids ...uint64) feedtest.Step {
	return func(ctx context.Context, sink feed.Sink) error {
		for _, id := range ids {
			if err := sink.Push(ctx, []market.Entry{trade(symbol, id)}, nil); err != nil {
				return err
			}
		}
		return nil
	}
}

func TestFeedThatEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tp := &tapetest.Memory{}
		g := newRig(t, tp, &feedtest.Source{Steps: []feedtest.Step{send("A", 1, 2), send("B", 1)}})
		if err := <-g.ended; err != nil {
			t.Fatal(err)
		}
		want := []string{"live", "A1", "A2", "B1", "closed"}
		if diff := cmp.Diff(want, outline(tp.Entries())); diff != "" {
			t.Error(diff)
		}
		if info := g.runner.Info(); info.State != market.StateClosed || info.Error != "" || info.Symbols != 2 || info.Ticks != 3 ||
			info.Name != "f" || info.URL != "fake://x?name=f&key=***" {
			t.Errorf("got %+v", info)
		}
	})
}

func TestReconnectLeavesGapAndDropsRepeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tp := &tapetest.Memory{}
		down := errors.New("connection reset")
		g := newRig(t, tp,
			&feedtest.Source{Steps: []feedtest.Step{send("A", 1, 2, 3), feedtest.Fail(down)}},
			&feedtest.Source{Steps: []feedtest.Step{feedtest.Fail(down)}},
			&feedtest.Source{Steps: []feedtest.Step{send("A", 2, 3, 5), feedtest.Forever()}},
		)
		began := now()
		time.Sleep(5100 * time.Millisecond)
		if err := g.end(); err != nil {
			t.Fatal(err)
		}
		want := []string{"live", "A1", "A2", "A3", "down", "live", "gap disconnected: connection reset", "A4", "beat", "beat", "beat", "down"}
		if diff := cmp.Diff(want, outline(tp.Entries())); diff != "" {
			t.Error(diff)
		}
		gap := tp.Entries(market.KindGap)[0].Gap()
		if gap.From != began || gap.To != began.Add(1500*time.Millisecond) {
			t.Errorf("got gap %v to %v, want from %v for the two pauses of 0.5 s and 1 s", gap.From, gap.To, began)
		}
		for name, want := range map[string]float64{"duplicates_total": 2, "reconnects_total": 2, "gaps_total": 1, "ticks_total": 4} {
			if got := g.value(name); got != want {
				t.Errorf("%s: got %v, want %v", name, got, want)
			}
		}
	})
}

func TestBackOffGrowsUntilHealthy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kick := &feedtest.Source{Steps: []feedtest.Step{send("A", 1), feedtest.Fail(errors.New("kicked"))}}
		var sources []feed.Source
		for range 9 {
			sources = append(sources, kick)
		}
		healthy := &feedtest.Source{Steps: []feedtest.Step{
			send("A", 1), feedtest.Alive(70, time.Second), feedtest.Fail(errors.New("kicked")),
		}}
		sources = append(sources, healthy, &feedtest.Source{Steps: []feedtest.Step{feedtest.Forever()}})
		begin := time.Now()
		g := newRig(t, &tapetest.Memory{}, sources...)
		// The pauses, at their longest: 0.5 + 1 + 2 + 4 + 8 + 16 + 30 + 30 + 30 s, then 70 s of health, then 0.5 s.
		time.Sleep(121500*time.Millisecond - time.Millisecond)
		synctest.Wait()
		if n := len(g.opener.Starts()); n != 9 {
			t.Errorf("after %v: %d attempts, want 9", time.Since(begin), n)
		}
		time.Sleep(70*time.Second + 500*time.Millisecond)
		synctest.Wait()
		if n := len(g.opener.Starts()); n != 10 {
			t.Errorf("after %v: %d attempts, want 10", time.Since(begin), n)
		}
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		if n := len(g.opener.Starts()); n != 11 {
			t.Errorf("after %v: %d attempts, want 11: a minute of health begins anew", time.Since(begin), n)
		}
		if err := g.end(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestVenueSaysWhenToComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, &tapetest.Memory{},
			&feedtest.Source{Steps: []feedtest.Step{feedtest.Fail(&feed.RetryError{Err: errors.New("429"), After: time.Hour})}},
			&feedtest.Source{Steps: []feedtest.Step{feedtest.Forever()}})
		time.Sleep(time.Hour - time.Second)
		synctest.Wait()
		if n := len(g.opener.Starts()); n != 1 {
			t.Errorf("%d attempts before the hour is over", n)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := len(g.opener.Starts()); n != 2 {
			t.Errorf("%d attempts after the hour, want 2", n)
		}
		if err := g.end(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestPermanentErrorRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tp := &tapetest.Memory{}
		bad := feed.Permanent(errors.New("bad key"))
		g := newRig(t, tp, &feedtest.Source{Steps: []feedtest.Step{send("A", 1), feedtest.Fail(fmt.Errorf("log in: %w", bad))}})
		if err := <-g.ended; !errors.Is(err, bad) {
			t.Fatalf("got %v, want %v", err, bad)
		}
		if info := g.runner.Info(); info.State != market.StateDown || info.Error != "log in: bad key" {
			t.Errorf("got %+v", info)
		}
		if diff := cmp.Diff([]string{"live", "A1", "down"}, outline(tp.Entries())); diff != "" {
			t.Error(diff)
		}
	})
}

func TestPanicOfAdapterIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tp := &tapetest.Memory{}
		g := newRig(t, tp,
			&feedtest.Source{Steps: []feedtest.Step{send("A", 1), feedtest.Panic("index out of range")}},
			&feedtest.Source{Steps: []feedtest.Step{send("A", 2)}})
		if err := <-g.ended; err != nil {
			t.Fatal(err)
		}
		want := []string{"live", "A1", "down", "live", "gap disconnected: panic: index out of range", "A2", "closed"}
		if diff := cmp.Diff(want, outline(tp.Entries())); diff != "" {
			t.Error(diff)
		}
	})
}

func TestSilenceIsStaleAndQuietIsNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tp := &tapetest.Memory{}
		// A symbol that trades once a minute, on a venue that says it is alive every five seconds: never stale.
		var quiet []feedtest.Step
		for i := range uint64(30) {
			quiet = append(quiet, send("A", i+1), feedtest.Alive(12, 5*time.Second))
		}
		// Then nothing at all for a minute.
		quiet = append(quiet, feedtest.Silence(time.Minute), send("A", 100), feedtest.Forever())
		g := newRig(t, tp, &feedtest.Source{Steps: quiet})
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		for _, e := range tp.Entries(market.KindStatus) {
			if e.State != market.StateLive {
				t.Fatalf("quiet was taken for %v: %s", e.State, e.Text)
			}
		}
		time.Sleep(2 * time.Minute)
		if err := g.end(); err != nil {
			t.Fatal(err)
		}
		var states []string
		for _, e := range tp.Entries(market.KindStatus) {
			states = append(states, e.State.String())
		}
		if diff := cmp.Diff([]string{"live", "stale", "live", "down"}, states); diff != "" {
			t.Error(diff)
		}
	})
}

func TestSymbolThatFallsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tp := &tapetest.Memory{}
		var steps []feedtest.Step
		for i := range uint64(60) {
			steps = append(steps, send("A", i+1), send("B", i+1), feedtest.Silence(time.Second))
		}
		for i := range uint64(60) {
			steps = append(steps, send("A", 100+i), feedtest.Silence(time.Second))
		}
		steps = append(steps, send("B", 100), feedtest.Forever())
		g := newRig(t, tp, &feedtest.Source{Steps: steps})
		time.Sleep(2*time.Minute + time.Second)
		if err := g.end(); err != nil {
			t.Fatal(err)
		}
		var states []string
		for _, e := range tp.Entries(market.KindStatus) {
			states = append(states, strings.TrimSpace(e.Symbol.Name()+" "+e.State.String()))
		}
		if diff := cmp.Diff([]string{"live", "B stale", "B live", "down"}, states); diff != "" {
			t.Error(diff)
		}
	})
}

func TestHeartbeatsInTheTimeOfTheEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tp := &tapetest.Memory{}
		const behind = 3 * time.Second // The venue's clock is late.
		g := newRig(t, tp, &feedtest.Source{Steps: []feedtest.Step{
			func(ctx context.Context, sink feed.Sink) error {
				e := trade("A", 1)
				e.Event = e.Event.Add(-behind)
				return sink.Push(ctx, []market.Entry{e}, nil)
			},
			feedtest.Forever(),
		}})
		begin := now()
		time.Sleep(5*time.Second + time.Millisecond)
		if err := g.end(); err != nil {
			t.Fatal(err)
		}
		beats := tp.Entries(market.KindHeartbeat)
		if len(beats) < 4 {
			t.Fatalf("got %d heartbeats in 5 s", len(beats))
		}
		for _, b := range beats {
			if lag := b.Received - b.Event; lag != market.Time(behind) || b.Event <= begin.Add(-behind) {
				t.Errorf("got heartbeat %v received at %v, want %v behind", b.Event, b.Received, behind)
			}
		}
	})
}

func TestTapeFullHoldsThenGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tp := &tapetest.Memory{}
		tp.OnAppend(func(*tape.Record) error { return fmt.Errorf("append: %w", tape.ErrFull) })
		const n = 20_000 // More than the buffer of 1 MiB holds.
		var id uint64
		g := newRig(t, tp, &feedtest.Source{Steps: []feedtest.Step{
			func(ctx context.Context, sink feed.Sink) error {
				for range n / 100 {
					batch := make([]market.Entry, 100)
					for i := range batch {
						id++
						batch[i] = trade("A", id)
					}
					if err := sink.Push(ctx, batch, nil); err != nil {
						return err
					}
					time.Sleep(time.Millisecond)
				}
				tp.OnAppend(nil)
				return nil
			},
			feedtest.Silence(2 * time.Second),
			send("A", 1_000_000),
			feedtest.Forever(),
		}})
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		if info := g.runner.Info(); !strings.Contains(info.Error, "full") {
			t.Errorf("while the tape is full: %+v", info)
		}
		time.Sleep(3 * time.Second)
		if err := g.end(); err != nil {
			t.Fatal(err)
		}
		trades := tp.Entries(market.KindTrade)
		checkNumbers(t, trades)
		dropped := int(g.value("dropped_total", "reason=buffer_full"))
		if dropped == 0 || len(trades)+dropped != n+1 {
			t.Fatalf("got %d trades and %d dropped, want %d in all and some dropped", len(trades), dropped, n+1)
		}
		gaps := tp.Entries(market.KindGap)
		if len(gaps) != 1 || gaps[0].Text != "buffer_full" || gaps[0].Until != trades[len(trades)-1].Event ||
			gaps[0].Event != trades[len(trades)-2].Event {
			t.Errorf("got gaps %v, want one from the last trade before the loss to the first after it", gaps)
		}
	})
}

// TestTapeFullKeepsWhatTheSourceSaidIsMissing drops, while the tape is full, a gap and trades that were fetched for one: both are of before
// the last trade that was kept.
func TestTapeFullKeepsWhatTheSourceSaidIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tp := &tapetest.Memory{}
		tp.OnAppend(func(*tape.Record) error { return fmt.Errorf("append: %w", tape.ErrFull) })
		began := now()
		var id uint64
		g := newRig(t, tp, &feedtest.Source{Is: feed.Traits{Mends: true}, Steps: []feedtest.Step{
			func(ctx context.Context, sink feed.Sink) error {
				for range 150 {
					batch := make([]market.Entry, 100)
					for i := range batch {
						id++
						batch[i] = trade("A", id)
					}
					if err := sink.Push(ctx, batch, nil); err != nil {
						return err
					}
				}
				gap := market.Entry{Kind: market.KindGap, Symbol: "F:A", Event: began - 9*market.Minute, Until: began - 8*market.Minute, Text: "lost"}
				old := trade("A", 1_000_001)
				old.Event, old.Flags = began-7*market.Minute, market.FlagBackfilled
				down := market.Entry{Kind: market.KindStatus, State: market.StateDown, Event: now(), Text: "gone"}
				for _, e := range []market.Entry{gap, old, down} {
					if err := sink.Push(ctx, []market.Entry{e}, nil); err != nil {
						return err
					}
				}
				return nil
			},
			feedtest.Silence(time.Second),
		}})
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		if info := g.runner.Info(); info.State != market.StateDown {
			t.Errorf("the feed is %s, want down as its source says", info.State)
		}
		tp.OnAppend(nil)
		time.Sleep(3 * time.Second)
		if err := g.end(); err != nil {
			t.Fatal(err)
		}
		gaps := tp.Entries(market.KindGap)
		if len(gaps) == 0 || gaps[0].Event > began-9*market.Minute || gaps[0].Until < began-7*market.Minute {
			t.Errorf("got gaps %v, want one that covers what was dropped", gaps)
		}
	})
}

func TestSourceThatWaitsLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tp := &tapetest.Memory{}
		fails := 0
		tp.OnAppend(func(*tape.Record) error {
			if fails++; fails%3 != 0 {
				return tape.ErrUnavailable
			}
			return nil
		})
		const n = 100_000
		var id uint64
		src := &feedtest.Source{Is: feed.Traits{Pull: true, Resumes: true}, Steps: []feedtest.Step{
			func(ctx context.Context, sink feed.Sink) error {
				batch := make([]market.Entry, 1000)
				for id < n {
					for i := range batch {
						id++
						batch[i] = trade("A", id)
					}
					if err := sink.Push(ctx, batch, fmt.Appendf(nil, "%d", id)); err != nil {
						return err
					}
				}
				return nil
			},
		}}
		g := newRig(t, tp, src)
		if err := <-g.ended; err != nil {
			t.Fatal(err)
		}
		trades := tp.Entries(market.KindTrade)
		if len(trades) != n {
			t.Fatalf("got %d trades, want %d", len(trades), n)
		}
		for i, e := range trades {
			if e.ID != uint64(i+1) || e.Seq != e.ID {
				t.Fatalf("trade %d has id %d and number %d", i+1, e.ID, e.Seq)
			}
		}
		records := tp.Records()
		if got := string(records[len(records)-1].Offset); got != "100000" {
			t.Errorf("got last offset %q", got)
		}
	})
}

func TestOffsetsMatchTheirRecordsWhenDivided(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tp := &tapetest.Memory{}
		tp.OnAppend(func(r *tape.Record) error {
			if len(r.Entries) > 300 {
				return tape.ErrTooLarge
			}
			return nil
		})
		var id uint64
		g := newRig(t, tp, &feedtest.Source{Is: feed.Traits{Pull: true, Resumes: true}, Steps: []feedtest.Step{
			func(ctx context.Context, sink feed.Sink) error {
				for id < 5000 {
					batch := make([]market.Entry, 100)
					for i := range batch {
						id++
						batch[i] = trade("A", id)
					}
					if err := sink.Push(ctx, batch, fmt.Appendf(nil, "%d", id)); err != nil {
						return err
					}
				}
				return nil
			},
		}})
		if err := <-g.ended; err != nil {
			t.Fatal(err)
		}
		var last uint64
		for _, rec := range tp.Records() {
			for _, e := range rec.Entries {
				if e.Kind == market.KindTrade {
					last = e.ID
				}
			}
			if got, want := string(rec.Offset), fmt.Sprint(last); got != want && last > 0 {
				t.Fatalf("record %d ends with trade %s, its offset says %s", rec.Position, want, got)
			}
		}
		if last != 5000 {
			t.Errorf("last trade is %d", last)
		}
	})
}

func TestTapeRefusesForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tp := &tapetest.Memory{}
		g := newRig(t, tp, &feedtest.Source{Steps: []feedtest.Step{
			send("A", 1), feedtest.Silence(time.Second),
			func(context.Context, feed.Sink) error {
				tp.OnAppend(func(*tape.Record) error { return tape.ErrFenced })
				return nil
			},
			send("A", 2), feedtest.Forever(),
		}})
		if err := <-g.ended; !errors.Is(err, tape.ErrFenced) {
			t.Fatalf("got %v, want ErrFenced", err)
		}
		if got := g.value("dropped_total", "reason=tape_closed"); got != 1 {
			t.Errorf("got %v ticks counted as lost, want 1", got)
		}
	})
}

func TestRestartOfTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tp := &tapetest.Memory{}
		g := newRig(t, tp, &feedtest.Source{Steps: []feedtest.Step{send("A", 1, 2, 3), feedtest.Forever()}})
		time.Sleep(time.Second / 2)
		if err := g.end(); err != nil {
			t.Fatal(err)
		}
		crashed := tp.Cut(len(tp.Records()) - 1) // Without the last status, as after a kill.
		time.Sleep(time.Minute)
		// The venue sends its last trade again, as Coinbase does.
		g = newRig(t, crashed, &feedtest.Source{Steps: []feedtest.Step{send("A", 3, 9), feedtest.Forever()}})
		time.Sleep(time.Second / 2)
		if err := g.end(); err != nil {
			t.Fatal(err)
		}
		want := []string{"live", "A1", "A2", "A3", "live", "gap not running", "A4", "down"}
		if diff := cmp.Diff(want, outline(crashed.Entries())); diff != "" {
			t.Error(diff)
		}
	})
}

// TestRestartOfAMarketThatGoesOn restarts a source that repeats nothing, but misses what happens while it does not run.
func TestRestartOfAMarketThatGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tp := &tapetest.Memory{}
		traits := feed.Traits{Pull: true, Resumes: true, Breaks: true}
		for _, n := range []uint64{1, 2} {
			g := newRig(t, tp, &feedtest.Source{Is: traits, Steps: []feedtest.Step{send("A", n), feedtest.Forever()}})
			time.Sleep(time.Second / 2)
			if err := g.end(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		gaps := tp.Entries(market.KindGap)
		if len(gaps) != 1 || gaps[0].Text != "not running" || gaps[0].Until-gaps[0].Event < market.Minute {
			t.Errorf("got gaps %+v, want one of a minute", gaps)
		}
	})
}

func TestGarbageFromAdapter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tp := &tapetest.Memory{}
		year1 := tick(market.KindTrade, "F:A", market.FromStd(time.Time{}), 1)
		year1.Received = 0
		g := newRig(t, tp, &feedtest.Source{Steps: []feedtest.Step{
			feedtest.Send(market.Entry{}, market.Entry{Kind: 99}, year1, tick(market.KindTrade, "F:A", 0, 1)),
		}})
		if err := <-g.ended; err != nil {
			t.Fatal(err)
		}
		trades := tp.Entries(market.KindTrade)
		if len(trades) != 2 || g.value("dropped_total", "reason=unusable") != 2 {
			t.Fatalf("got %d trades, want 2 and 2 dropped", len(trades))
		}
		for _, e := range trades {
			if e.Event != e.Received || e.Event != now() || e.Flags&market.FlagNoEventTime == 0 {
				t.Errorf("got event %v received %v flags %b, want the time of arrival, flagged", e.Event, e.Received, e.Flags)
			}
		}
	})
}

func TestSymbolOfAnotherFeedRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tp := &tapetest.Memory{}
		w := newWriter(t, tp, nil, 0)
		other := newLane(t, w, "other")
		if err := other.Append(t.Context(), []market.Entry{tick(market.KindTrade, "F:A", 1, 1)}, nil); err != nil {
			t.Fatal(err)
		}
		u, err := feed.ParseURL("fake://")
		if err != nil {
			t.Fatal(err)
		}
		opener := &feedtest.Opener{Sources: []feed.Source{&feedtest.Source{Steps: []feedtest.Step{
			feedtest.SendAt("1", tick(market.KindTrade, "F:B", 1, 1), tick(market.KindTrade, "F:A", 2, 1)),
		}}}}
		r, err := feed.NewRunner(feed.RunnerOptions{URL: u, Open: opener.Open, Writer: w, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Run(t.Context()); !errors.Is(err, feed.ErrSymbolTaken) || !strings.Contains(err.Error(), "other") {
			t.Errorf("got %v", err)
		}
		if diff := cmp.Diff([]string{"A1", "live", "down"}, outline(tp.Entries())); diff != "" {
			t.Errorf("half a push is on the tape: %s", diff)
		}
	})
}

// TestTimeOfTheFarFuture sends one tick of 2200: it is kept as it is, and the feed's clock goes on.
func TestTimeOfTheFarFuture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tp := &tapetest.Memory{}
		wild := tick(market.KindTrade, "F:A", market.FromStd(time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)), 1)
		wild.Received = now()
		g := newRig(t, tp, &feedtest.Source{Steps: []feedtest.Step{
			feedtest.Send(wild), feedtest.Silence(2 * time.Minute), send("A", 2), feedtest.Forever(),
		}})
		time.Sleep(3 * time.Minute)
		if err := g.end(); err != nil {
			t.Fatal(err)
		}
		if got := tp.Entries(market.KindTrade)[0].Event; got != wild.Event {
			t.Errorf("got event %v, want it as it was sent", got)
		}
		for _, e := range tp.Entries(market.KindHeartbeat) {
			if e.Event > e.Received+market.Minute {
				t.Fatalf("heartbeat of %v at %v", e.Event, e.Received)
			}
		}
		if n := len(tp.Entries(market.KindHeartbeat)); n < 60 {
			t.Errorf("got %d heartbeats in 3 minutes", n)
		}
	})
}

func TestStopWhileTapeIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tp := &tapetest.Memory{}
		tp.OnAppend(func(*tape.Record) error { return tape.ErrFull })
		g := newRig(t, tp, &feedtest.Source{Steps: []feedtest.Step{send("A", 1, 2, 3), feedtest.Forever()}})
		time.Sleep(time.Second)
		stopped := time.Now()
		if err := g.end(); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(stopped); d > 5*time.Second {
			t.Errorf("took %v to stop", d)
		}
		if got := g.value("dropped_total", "reason=tape_closed"); got != 3 {
			t.Errorf("got %v ticks counted as lost, want 3", got)
		}
		// With room again in time, nothing is lost.
		g = newRig(t, tp, &feedtest.Source{Steps: []feedtest.Step{send("A", 1, 2, 3), feedtest.Forever()}})
		time.Sleep(time.Second)
		time.AfterFunc(2*time.Second, func() { tp.OnAppend(nil) })
		if err := g.end(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"live", "A1", "A2", "A3", "down"}, outline(tp.Entries())); diff != "" {
			t.Error(diff)
		}
	})
}

// TestPushesAtOnce pushes from several goroutines at once, as an adapter with more than one connection does.
func TestPushesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tp := &tapetest.Memory{}
		g := newRig(t, tp, &feedtest.Source{Steps: []feedtest.Step{func(ctx context.Context, sink feed.Sink) error {
			var wg sync.WaitGroup
			for i := range 8 {
				wg.Go(func() {
					for id := range uint64(200) {
						if err := sink.Push(ctx, []market.Entry{trade(fmt.Sprint("S", i), id+1)}, nil); err != nil {
							t.Error(err)
						}
					}
				})
			}
			wg.Wait()
			return nil
		}}})
		if err := <-g.ended; err != nil {
			t.Fatal(err)
		}
		checkNumbers(t, tp.Entries())
		if n := len(tp.Entries(market.KindTrade)); n != 1600 {
			t.Errorf("got %d trades, want 1600", n)
		}
	})
}
