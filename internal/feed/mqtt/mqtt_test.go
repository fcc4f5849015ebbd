package mqtt_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/broker/brokertest"
	"tapedeck/internal/feed"
	"tapedeck/internal/feed/feedtest"
	"tapedeck/internal/feed/mqtt"
	"tapedeck/internal/market"
)

// rig runs the feed of a URL into a sink.
type rig struct {
	sink  *feedtest.Sink
	up    chan struct{} // holds a token when it is connected
	ended chan error
	stop  context.CancelFunc
}

func start(t *testing.T, reg *feed.Registry, url string, enough int) (*rig, <-chan struct{}) {
	t.Helper()
	u, err := reg.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	src, err := reg.Open(u, feed.Start{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	r := &rig{sink: &feedtest.Sink{}, up: make(chan struct{}, 1), ended: make(chan error, 1), stop: cancel}
	all := make(chan struct{})
	told := false
	r.sink.Stop = func(n int) error {
		select {
		case r.up <- struct{}{}:
		default:
		}
		if n >= enough && !told {
			told = true
			close(all)
		}
		return nil
	}
	go func() { r.ended <- src.Run(ctx, r.sink) }()
	return r, all
}

// await waits for something of the feed, or fails the test when the feed ends before.
func (r *rig) await(t *testing.T, what <-chan struct{}) {
	t.Helper()
	select {
	case <-what:
	case err := <-r.ended:
		t.Fatalf("the feed has ended: %v", err)
	}
}

// TestWildcards takes messages of many topics in order, with the symbols of their levels, and not what was retained.
func TestWildcards(t *testing.T) {
	b, address, _ := brokertest.NewMQTT(t, "")
	if err := b.Publish("plant/old/temperature", []byte("99"), true, 0); err != nil {
		t.Fatal(err)
	}
	reg := feed.NewRegistry(mqtt.Adapters()...)
	r, all := start(t, reg, "mqtt://"+address+"/plant/+/temperature?levels={2}-{last}&qos=1", 500)
	r.await(t, r.up)
	for i := range 500 {
		if err := b.Publish(fmt.Sprintf("plant/oven%d/temperature", i%3), fmt.Appendf(nil, "%d.50", i), false, byte(i%2)); err != nil {
			t.Fatal(err)
		}
	}
	r.await(t, all)
	for i, e := range r.sink.Entries(market.KindTrade) {
		if want := fmt.Sprintf("MQTT:OVEN%d-TEMPERATURE", i%3); string(e.Symbol) != want || e.Price.String() != fmt.Sprintf("%d.50", i) {
			t.Fatalf("tick %d is %s %s", i, e.Symbol, e.Price)
		}
	}
	if n := r.sink.Drops("retained"); n != 1 {
		t.Errorf("%d retained messages were left out, want 1", n)
	}
	r.stop()
	if err := <-r.ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestSession gets what was sent while it was away.
func TestSession(t *testing.T) {
	b, address, stop := brokertest.NewMQTT(t, "")
	reg := feed.NewRegistry(mqtt.Adapters()...)
	url := "mqtt://" + address + "/s?session=deck"
	r, all := start(t, reg, url, 1)
	r.await(t, r.up)
	publish := func(text string) {
		t.Helper()
		if err := b.Publish("s", []byte(text), false, 1); err != nil {
			t.Fatal(err)
		}
	}
	publish("1")
	r.await(t, all)
	r.stop()
	if err := <-r.ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	publish("2")
	publish("3")
	var got []string
	for len(got) < 2 {
		r, all = start(t, reg, url, 2-len(got))
		select {
		case <-all:
		case err := <-r.ended: // this broker refuses a subscription while it sends again what it kept; the runner would come again
			if !strings.Contains(err.Error(), "refuses") {
				t.Fatal(err)
			}
		}
		for _, e := range r.sink.Entries(market.KindTrade) {
			got = append(got, e.Price.String())
		}
	}
	slices.Sort(got) // in which order this broker sends again what it kept is its affair
	if s := strings.Join(got, " "); s != "2 3" {
		t.Errorf("got %s", s)
	}
	stop()
	if err := <-r.ended; err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the end of the broker: %v", err)
	}
}

func TestRefused(t *testing.T) {
	_, address, _ := brokertest.NewMQTT(t, "right")
	reg := feed.NewRegistry(mqtt.Adapters()...)
	r, _ := start(t, reg, "mqtt://"+address+"/s?user=me&password=hunter2", 1)
	if err := <-r.ended; err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a wrong password: %v", err)
	}
	r, _ = start(t, reg, "mqtt://me:right@"+address+"/s", 1)
	r.await(t, r.up)
	r, _ = start(t, reg, "mqtt://"+brokertest.FreeAddress(t)+"/s", 1)
	if err := <-r.ended; err == nil {
		t.Error("nobody is there, and no error")
	}
}

func TestParse(t *testing.T) {
	reg := feed.NewRegistry(mqtt.Adapters()...)
	for _, url := range []string{
		"mqtt://h", "mqtt://h/a+", "mqtt://h/%23/a", "mqtt://h/a?qos=2", "mqtt://h/a?session=", "mqtt://h/a?retained=maybe", "mqtt://h/a?levels={a}", "mqtt:///a",
	} {
		if _, err := reg.Parse(url); err == nil || !feed.IsPermanent(err) && !errors.Is(err, feed.ErrURL) {
			t.Errorf("%s: %v", url, err)
		}
	}
	for _, url := range []string{"mqtt://h/%23", "mqtts://h:1/a/+/b/%23?retained=true", "mqtt://h/$share/g/a"} {
		if _, err := reg.Parse(url); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}
