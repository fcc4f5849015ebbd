package nats_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	client "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tapedeck/internal/broker/brokertest"
	"tapedeck/internal/feed"
	"tapedeck/internal/feed/feedtest"
	"tapedeck/internal/feed/nats"
	"tapedeck/internal/market"
)

var errCrash = errors.New("crash")

func open(t *testing.T, url string, offset []byte) (feed.Source, error) {
	t.Helper()
	reg := feed.NewRegistry(nats.Adapters()...)
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

func host(n *brokertest.NATS) string { return strings.TrimPrefix(n.URL, "nats://") }

// check holds the trades of a sink to be the numbers 1 to n, in order.
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

// TestResume crashes after random pushes, of messages of many ticks too, and goes on from the offset.
func TestResume(t *testing.T) {
	n := brokertest.NewNATS(t, nil)
	js, _ := n.Stream(t, n.Conn(t), "TICKS", nil, "ticks.>")
	next := 1
	for range 300 {
		for range 10 {
			if _, err := js.PublishAsync("ticks.S", []byte(brokertest.Tick(next))); err != nil {
				t.Fatal(err)
			}
			next++
		}
		if next%7 == 0 {
			var many []string
			for range 40 {
				many = append(many, brokertest.Tick(next))
				next++
			}
			if _, err := js.PublishAsync("ticks.S", []byte("["+strings.Join(many, ",")+"]")); err != nil {
				t.Fatal(err)
			}
		}
	}
	var large []string
	for range 9000 {
		large = append(large, brokertest.Tick(next))
		next++
	}
	if _, err := js.PublishAsync("ticks.S", []byte("["+strings.Join(large, ",")+"]")); err != nil {
		t.Fatal(err)
	}
	<-js.PublishAsyncComplete()
	sink := &feedtest.Sink{}
	rng := rand.New(rand.NewPCG(5, 6))
	for lives := 0; len(sink.Entries()) < next-1; lives++ {
		url := "nats+js://" + host(n) + "/ticks.>?start=earliest"
		if lives%2 == 1 {
			url = "nats://" + host(n) + "/ticks.S?start=earliest&jetstream=TICKS" // filtered
		}
		if err := run(t, url, sink, min(len(sink.Entries())+1+rng.IntN(1500), next-1)); !errors.Is(err, errCrash) {
			t.Fatalf("life %d: %v with %d", lives, err, len(sink.Entries()))
		}
	}
	check(t, sink, next-1)
	if gaps := sink.Entries(market.KindGap); len(gaps) > 0 {
		t.Errorf("gaps: %+v", gaps)
	}
}

// TestGone removes messages before they are read, and the stream itself: each is a gap.
func TestGone(t *testing.T) {
	n := brokertest.NewNATS(t, nil)
	js, stream := n.Stream(t, n.Conn(t), "TICKS", nil, "ticks.>")
	send := func(from, to int) {
		t.Helper()
		for i := from; i <= to; i++ {
			if _, err := js.Publish(t.Context(), "ticks.S", []byte(brokertest.Tick(i))); err != nil {
				t.Fatal(err)
			}
		}
	}
	url := "nats+js://" + host(n) + "/ticks.>?start=earliest"
	sink := &feedtest.Sink{}
	gap := func(until int, words string) {
		t.Helper()
		if err := run(t, url, sink, until); !errors.Is(err, errCrash) {
			t.Fatal(err)
		}
		gaps := sink.Entries(market.KindGap)
		if len(gaps) == 0 || !strings.Contains(gaps[len(gaps)-1].Text, words) {
			t.Fatalf("want %q, got gaps %+v", words, gaps)
		}
	}
	send(1, 10)
	if err := run(t, url, sink, 10); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	send(11, 20)
	if err := stream.Purge(t.Context(), jetstream.WithPurgeSequence(15)); err != nil {
		t.Fatal(err)
	}
	gap(17, "4 messages of the stream were gone")
	send(21, 25)
	if err := stream.DeleteMsg(t.Context(), 23); err != nil {
		t.Fatal(err)
	}
	gap(17+5, "1 messages of the stream were gone")
	if err := js.DeleteStream(t.Context(), "TICKS"); err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "TICKS", Subjects: []string{"ticks.>"}}); err != nil {
		t.Fatal(err)
	}
	send(26, 26)
	gap(17+5+2, "made anew")
}

// TestLatest begins at the end, says so at once, and misses nothing that comes between that and a restart, also of the server.
func TestLatest(t *testing.T) {
	n := brokertest.NewNATS(t, nil)
	js, _ := n.Stream(t, n.Conn(t), "TICKS", nil, "ticks.>")
	publish := func(text string) {
		t.Helper()
		if _, err := js.Publish(t.Context(), "ticks.BRK%2EB", []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	publish("1000")
	sink := &feedtest.Sink{}
	url := "nats+js://" + host(n) + "/ticks.>"
	if err := run(t, url, sink, 0); !errors.Is(err, errCrash) || sink.Offset() == nil {
		t.Fatalf("%v, offset %x", err, sink.Offset())
	}
	for _, text := range []string{"1.00", "poison", "2.00", "3.00"} {
		publish(text)
	}
	n.Stop()
	if err := run(t, url, sink, 3); err == nil || errors.Is(err, errCrash) {
		t.Fatalf("without a server: %v", err)
	}
	n.Start(t)
	if err := run(t, url, sink, 3); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	check(t, sink, 3)
	if s := sink.Entries()[0].Symbol; s != "NATS-JS:BRK.B" || sink.Drops("unreadable") != 1 {
		t.Errorf("symbol %s, %d messages unreadable", s, sink.Drops("unreadable"))
	}
}

// TestLive listens to a subject until the server ends.
func TestLive(t *testing.T) {
	n := brokertest.NewNATS(t, func(o *server.Options) { o.Username, o.Password = "me", "hunter2" })
	nc := n.Conn(t, client.UserInfo("me", "hunter2"))
	src, err := open(t, "nats://me:hunter2@"+host(n)+"/ticks.*", nil)
	if err != nil {
		t.Fatal(err)
	}
	sink := &feedtest.Sink{}
	up := make(chan struct{}, 1)
	all := make(chan struct{}, 1)
	sink.Stop = func(n int) error {
		if n == 0 {
			up <- struct{}{}
		}
		if n == 1000 {
			all <- struct{}{}
		}
		return nil
	}
	ended := make(chan error, 1)
	go func() { ended <- src.Run(t.Context(), sink) }()
	<-up
	for i := range 1000 {
		if err := nc.Publish("ticks.S", []byte(brokertest.Tick(i+1))); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	<-all
	n.Stop()
	if err := <-ended; err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
	check(t, sink, 1000)
	n.Start(t)
	if src, err = open(t, "nats://me:hunter3@"+host(n)+"/ticks.*", nil); err != nil {
		t.Fatal(err)
	}
	if err := src.Run(t.Context(), sink); err == nil || strings.Contains(err.Error(), "hunter3") {
		t.Errorf("a wrong password: %v", err)
	}
}

func TestParse(t *testing.T) {
	reg := feed.NewRegistry(nats.Adapters()...)
	for _, url := range []string{
		"nats://h/a?start=latest", "nats+js://h/a?start=soon", "nats+js://h/a?jetstream=false", "nats://h/a?jetstream=A.B", "nats:///a", "nats://h/a?group=x",
	} {
		if _, err := reg.Parse(url); err == nil {
			t.Errorf("%s is taken", url)
		}
	}
	for _, url := range []string{"nats://h/", "nats://h/a..b", "nats://h/a.>.b", "nats://h/a*"} {
		if _, err := open(t, url, nil); err == nil || !feed.IsPermanent(err) {
			t.Errorf("%s: %v", url, err)
		}
	}
}
