package redis_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	client "github.com/redis/go-redis/v9"

	"tapedeck/internal/broker/brokertest"
	"tapedeck/internal/feed"
	"tapedeck/internal/feed/feedtest"
	"tapedeck/internal/feed/redis"
	"tapedeck/internal/market"
)

var errCrash = errors.New("crash")

func open(t *testing.T, url string, offset []byte) (feed.Source, error) {
	t.Helper()
	reg := feed.NewRegistry(redis.Adapters()...)
	u, err := reg.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	return reg.Open(u, feed.Start{Offset: offset, Log: slog.New(slog.DiscardHandler)})
}

// run runs the feed of a URL into the sink until that has so many entries, and returns what Run returned.
func run(t *testing.T, url string, sink *feedtest.Sink, until int) error {
	t.Helper()
	src, err := open(t, url, sink.Offset())
	if err != nil {
		return err
	}
	sink.Stop = func(n int) error {
		if n >= until {
			return errCrash
		}
		return nil
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	return src.Run(ctx, sink)
}

func add(t *testing.T, c *client.Client, values ...any) {
	t.Helper()
	if err := c.XAdd(t.Context(), &client.XAddArgs{Stream: "ticks", Values: values}).Err(); err != nil {
		t.Fatal(err)
	}
}

func check(t *testing.T, sink *feedtest.Sink, n int) {
	t.Helper()
	trades := sink.Entries(market.KindTrade)
	for i, e := range trades {
		if want := fmt.Sprintf("%d.00", i+1); e.Price.String() != want {
			t.Fatalf("trade %d is %s", i+1, e.Price)
		}
	}
	if len(trades) != n {
		t.Errorf("%d trades, want %d", len(trades), n)
	}
}

// TestStreamResumes crashes after random pushes, of entries of many ticks too, and goes on from the offset.
func TestStreamResumes(t *testing.T) {
	r := brokertest.NewRedis(t)
	c := r.Client(t, "")
	next := 1
	tick := func() string { next++; return brokertest.Tick(next - 1) }
	for i := range 1500 {
		switch i % 3 {
		case 0:
			add(t, c, "data", tick())
		case 1:
			add(t, c, "symbol", "S", "price", fmt.Sprintf("%d.00", next), "size", "1")
			next++
		case 2:
			add(t, c, "payload", "["+tick()+","+tick()+"]", "by", "me")
		}
	}
	var large []string
	for range 9000 {
		large = append(large, tick())
	}
	add(t, c, "data", "["+strings.Join(large, ",")+"]")
	sink := &feedtest.Sink{}
	rng := rand.New(rand.NewPCG(7, 8))
	for lives := 0; len(sink.Entries()) < next-1; lives++ {
		err := run(t, "redis+stream://"+r.Addr+"/ticks?start=earliest", sink, min(len(sink.Entries())+1+rng.IntN(1500), next-1))
		if !errors.Is(err, errCrash) {
			t.Fatalf("life %d: %v with %d", lives, err, len(sink.Entries()))
		}
	}
	check(t, sink, next-1)
	if gaps := sink.Entries(market.KindGap); len(gaps) > 0 {
		t.Errorf("gaps: %+v", gaps)
	}
}

// TestStreamGone trims, deletes and makes the stream anew before its entries are read: each is a gap. What was read is not missed.
func TestStreamGone(t *testing.T) {
	r := brokertest.NewRedis(t)
	c := r.Client(t, "")
	n := 0
	send := func(k int) {
		t.Helper()
		for range k {
			n++
			add(t, c, "data", brokertest.Tick(n))
		}
	}
	url := "redis://" + r.Addr + "/ticks?stream=true&start=earliest"
	sink := &feedtest.Sink{}
	upTo := func(more, gaps int, words string) {
		t.Helper()
		if err := run(t, url, sink, len(sink.Entries())+more); !errors.Is(err, errCrash) {
			t.Fatal(err)
		}
		got := sink.Entries(market.KindGap)
		if len(got) != gaps || gaps > 0 && !strings.Contains(got[gaps-1].Text, words) {
			t.Fatalf("want %d gaps, the last %q, got %+v", gaps, words, got)
		}
	}
	trim := func(keep int64) {
		t.Helper()
		if err := c.XTrimMaxLen(t.Context(), "ticks", keep).Err(); err != nil {
			t.Fatal(err)
		}
	}
	send(10)
	upTo(10, 0, "")
	trim(2)
	send(5)
	upTo(5, 0, "") // what went had been read
	send(10)
	trim(4)
	upTo(5, 1, "6 entries of the stream were gone")
	send(3)
	trim(0)
	send(2)
	upTo(3, 2, "3 entries of the stream were gone")
	if err := c.Del(t.Context(), "ticks").Err(); err != nil {
		t.Fatal(err)
	}
	send(2)
	upTo(3, 3, "made anew")
}

// TestStreamLatest begins at the end, says so at once, and misses nothing that comes between that and a restart.
func TestStreamLatest(t *testing.T) {
	r := brokertest.NewRedis(t, "--requirepass", "hunter2")
	c := r.Client(t, "hunter2")
	add(t, c, "data", "1000")
	sink := &feedtest.Sink{}
	t.Setenv("REDIS_SECRET", "hunter2")
	url := "redis+stream://" + r.Addr + "/ticks?password=env:REDIS_SECRET"
	if err := run(t, url, sink, 0); !errors.Is(err, errCrash) || sink.Offset() == nil {
		t.Fatalf("%v, offset %x", err, sink.Offset())
	}
	for _, text := range []string{"1.00", "poison", "2.00"} {
		add(t, c, "data", text)
	}
	if err := run(t, url, sink, 2); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	// One that comes while it waits.
	src, err := open(t, url, sink.Offset())
	if err != nil {
		t.Fatal(err)
	}
	pushes := 0
	sink.Stop = func(n int) error {
		if pushes++; pushes == 2 {
			add(t, c, "data", "3.00")
		}
		if n >= 3 {
			return errCrash
		}
		return nil
	}
	if err := src.Run(t.Context(), sink); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	check(t, sink, 3)
	t.Setenv("REDIS_SECRET", "hunter3")
	if err := run(t, url, sink, 9); err == nil || strings.Contains(err.Error(), "hunter3") {
		t.Errorf("a wrong password: %v", err)
	}
	r.Stop(t)
	if err := run(t, url, sink, 9); err == nil || errors.Is(err, errCrash) {
		t.Errorf("without a server: %v", err)
	}
}

// TestChannel listens to channels and a pattern until the server ends.
func TestChannel(t *testing.T) {
	r := brokertest.NewRedis(t)
	c := r.Client(t, "")
	src, err := open(t, "redis://"+r.Addr+"/a,b:*", nil)
	if err != nil {
		t.Fatal(err)
	}
	sink := &feedtest.Sink{}
	subscribed := make(chan struct{}, 2)
	all := make(chan struct{})
	sink.Stop = func(n int) error {
		switch n {
		case 0:
			subscribed <- struct{}{}
		case 600:
			close(all)
		}
		return nil
	}
	ended := make(chan error, 1)
	go func() { ended <- src.Run(t.Context(), sink) }()
	<-subscribed
	<-subscribed
	for i := range 600 {
		channel := []string{"a", "b:S"}[i%2]
		if err := c.Publish(t.Context(), channel, brokertest.Tick(i+1)).Err(); err != nil {
			t.Fatal(err)
		}
	}
	<-all
	check(t, sink, 600)
	r.Stop(t)
	if err := <-ended; err == nil {
		t.Error("the end of the server is none of the feed's attempt")
	}
	r.Start(t)
	ctx, cancel := context.WithCancel(t.Context())
	sink.Stop = func(int) error { cancel(); return nil }
	if err := src.Run(ctx, sink); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestParse(t *testing.T) {
	reg := feed.NewRegistry(redis.Adapters()...)
	for _, url := range []string{
		"redis://h", "redis://h/a?start=latest", "redis+stream://h/a?start=soon", "redis+stream://h/a?stream=false", "redis://h/a?group=x", "redis://h/a?data=x",
	} {
		if _, err := reg.Parse(url); err == nil {
			t.Errorf("%s is taken", url)
		}
	}
	if _, err := open(t, "redis://a,b/c", nil); err == nil || !feed.IsPermanent(err) {
		t.Errorf("two hosts: %v", err)
	}
}
