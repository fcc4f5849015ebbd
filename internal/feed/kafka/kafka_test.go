package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"tapedeck/internal/broker/brokertest"
	"tapedeck/internal/feed"
	"tapedeck/internal/feed/feedtest"
	"tapedeck/internal/feed/kafka"
	"tapedeck/internal/market"
)

var errCrash = errors.New("crash")

// run runs the feed of a URL into the sink until that has so many entries, and returns what Run returned.
func run(t *testing.T, url string, sink *feedtest.Sink, until int) error {
	t.Helper()
	reg := feed.NewRegistry(kafka.Adapter(false))
	u, err := reg.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	src, err := reg.Open(u, feed.Start{Offset: sink.Offset(), Log: slog.New(slog.DiscardHandler)})
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

func numbers(from, to int) []string {
	var list []string
	for n := from; n <= to; n++ {
		list = append(list, brokertest.Tick(n))
	}
	return list
}

// check holds the trades of a sink to be the numbers 1 to n, each once.
func check(t *testing.T, sink *feedtest.Sink, n int) {
	t.Helper()
	seen := make(map[string]int)
	for _, e := range sink.Entries(market.KindTrade) {
		seen[e.Price.String()]++
	}
	for i := 1; i <= n; i++ {
		if k := seen[fmt.Sprintf("%d.00", i)]; k != 1 {
			t.Errorf("message %d is there %d times", i, k)
		}
	}
	if len(seen) != n {
		t.Errorf("%d different messages, want %d", len(seen), n)
	}
}

// TestResume crashes after random pushes, of messages of many ticks too, and goes on from the offset.
func TestResume(t *testing.T) {
	_, hosts := brokertest.NewKafka(t, kfake.NumBrokers(1), kfake.SeedTopics(3, "ticks"))
	cl := brokertest.Producer(t, hosts, "ticks")
	const each = 1000
	for partition := range 3 {
		all := numbers(partition*2*each+1, partition*2*each+each)
		// Half of them in messages of their own, the others in one that is larger than a push.
		brokertest.Produce(t, cl, int32(partition), all...)
		big := "[" + strings.Join(numbers(partition*2*each+each+1, (partition+1)*2*each), ",") + "]"
		brokertest.Produce(t, cl, int32(partition), big)
	}
	brokertest.Produce(t, cl, 1, "["+strings.Join(numbers(6*each+1, 6*each+5000), ",")+"]")
	const total = 6*each + 5000
	sink := &feedtest.Sink{}
	rng := rand.New(rand.NewPCG(3, 4))
	for lives := 0; len(sink.Entries()) < total; lives++ {
		before := len(sink.Entries())
		err := run(t, "kafka://"+hosts+"/ticks?start=earliest", sink, min(before+1+rng.IntN(1500), total))
		if !errors.Is(err, errCrash) {
			t.Fatalf("life %d: %v with %d", lives, err, len(sink.Entries()))
		}
	}
	check(t, sink, total)
	if gaps := sink.Entries(market.KindGap); len(gaps) > 0 {
		t.Errorf("gaps: %+v", gaps)
	}
}

// TestLatest begins at the end, says so at once, and misses nothing that comes between that and a restart.
func TestLatest(t *testing.T) {
	_, hosts := brokertest.NewKafka(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "ticks"))
	cl := brokertest.Producer(t, hosts, "ticks")
	brokertest.Produce(t, cl, 0, "1000", "1001")
	sink := &feedtest.Sink{}
	url := "kafka://" + hosts + "/ticks"
	if err := run(t, url, sink, 0); !errors.Is(err, errCrash) || sink.Offset() == nil {
		t.Fatalf("%v, offset %x", err, sink.Offset())
	}
	brokertest.Produce(t, cl, 0, "1.00", "poison", "2.00", "3.00")
	if err := run(t, url, sink, 3); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	check(t, sink, 3)
	if sink.Drops("unreadable") != 1 {
		t.Error("poison is not counted")
	}
	if s := sink.Entries()[0].Symbol; s != "KAFKA:KA" {
		t.Errorf("the key makes the symbol %s", s)
	}
}

// TestGone loses messages in several ways before they are read: each is a gap that says why.
func TestGone(t *testing.T) {
	cluster, hosts := brokertest.NewKafka(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "ticks"))
	cl := brokertest.Producer(t, hosts, "ticks")
	url := "kafka://" + hosts + "/ticks?start=earliest"
	brokertest.Produce(t, cl, 0, numbers(1, 10)...)
	sink := &feedtest.Sink{}
	if err := run(t, url, sink, 10); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	brokertest.Produce(t, cl, 0, numbers(11, 20)...)
	if err := cluster.DeleteRecords("ticks", 0, 15); err != nil {
		t.Fatal(err)
	}
	if err := run(t, url, sink, 16); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	gaps := sink.Entries(market.KindGap)
	if len(gaps) != 1 || !strings.Contains(gaps[0].Text, "5 messages of partition 0") || gaps[0].Event >= gaps[0].Until {
		t.Fatalf("gaps %+v", gaps)
	}
	if err := cluster.DeleteTopic("ticks"); err != nil {
		t.Fatal(err)
	}
	if err := cluster.CreateTopic("ticks", 1, nil); err != nil {
		t.Fatal(err)
	}
	again := brokertest.Producer(t, hosts, "ticks")
	brokertest.Produce(t, again, 0, numbers(21, 22)...)
	if err := run(t, url, sink, len(sink.Entries())+3); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	gaps = sink.Entries(market.KindGap)
	if len(gaps) != 2 || !strings.Contains(gaps[1].Text, "made anew") {
		t.Fatalf("gaps %+v", gaps)
	}
	if trades := sink.Entries(market.KindTrade); trades[len(trades)-1].Price.String() != "22.00" {
		t.Errorf("the last is %s", trades[len(trades)-1].Price)
	}
}

// TestUnreachable ends with an error that names no secret, and soon after ctx.
func TestUnreachable(t *testing.T) {
	sink := &feedtest.Sink{}
	err := run(t, "kafka://"+brokertest.FreeAddress(t)+"/ticks?user=me&password=hunter2", sink, 1)
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
	_, hosts := brokertest.NewKafka(t, kfake.NumBrokers(1), kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-256", "me", "right"), kfake.SeedTopics(1, "ticks"))
	err = run(t, "kafka://"+hosts+"/ticks?user=me&password=hunter2&sasl=scram-sha-256", sink, 1)
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a wrong password: got %v", err)
	}
	if err := run(t, "kafka://"+hosts+"/ticks?user=me&password=right&sasl=scram-sha-256", sink, 0); !errors.Is(err, errCrash) {
		t.Errorf("the right password: %v", err)
	}
	if err := run(t, "kafka://"+hosts+"/other?user=me&password=right&sasl=scram-sha-256", sink, 0); err == nil || errors.Is(err, errCrash) {
		t.Errorf("a topic that is not there: %v", err)
	}
}

func TestParse(t *testing.T) {
	reg := feed.NewRegistry(kafka.Adapter(false), kafka.Adapter(true))
	for _, url := range []string{
		"kafka://h", "kafka://h/a/b", "kafka:///a", "kafka://h/a?start=soon", "kafka://h/a?isolation=some", "kafka://h/a?group=x", "kafka://h/a?levels={x}",
	} {
		if _, err := reg.Parse(url); err == nil || !feed.IsPermanent(err) && !errors.Is(err, feed.ErrURL) {
			t.Errorf("%s: %v", url, err)
		}
	}
	for _, url := range []string{"kafkas://a:1,b:2/t?start=2026-11-23T14:30:00Z&sasl=plain&user=x&password=env:X", "kafka://h/t?price=p&symbol=s"} {
		if _, err := reg.Parse(url); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}
