package main

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"tapedeck/internal/broker/brokertest"
)

// TestBrokersExactlyOnce kills a server 30 times, each time a few moments after it has begun to take messages out of Kafka, a stream
// of JetStream and one of Redis, and so between an append and what would be a commit. Messages are numbered, and come all the time,
// from three partitions of the topic at once. At the end each is on the tape once, and in its order.
func TestBrokersExactlyOnce(t *testing.T) {
	const partitions = 3
	lives := 30
	if testing.Short() {
		lives = 5
	}
	_, hosts := brokertest.NewKafka(t, kfake.NumBrokers(1), kfake.SeedTopics(partitions, "ticks"))
	producer := brokertest.Producer(t, hosts, "ticks")
	stream := brokertest.NewNATS(t, nil)
	nc := stream.Conn(t)
	js, _ := stream.Stream(t, nc, "TICKS", nil, "ticks.>")
	store := brokertest.NewRedis(t)
	client := store.Client(t, "")

	// What is sent: numbers of each of the symbols, which the messages do not name themselves.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	sent := make(map[string]int)
	var mu sync.Mutex
	send := func(symbol string, one func(n int) error) {
		wg.Go(func() {
			for n := 1; ctx.Err() == nil; n++ {
				if err := one(n); err != nil {
					t.Errorf("send %d of %s: %v", n, symbol, err)
					return
				}
				mu.Lock()
				sent[symbol] = n
				mu.Unlock()
				if n%50 == 0 {
					select {
					case <-ctx.Done():
					case <-time.After(40 * time.Millisecond):
					}
				}
			}
		})
	}
	for partition := range int32(partitions) {
		symbol := "K" + strconv.Itoa(int(partition))
		send("KAFKA:"+symbol, func(n int) error {
			r := &kgo.Record{Partition: partition, Key: []byte(symbol), Value: numbered(n)}
			return producer.ProduceSync(context.WithoutCancel(ctx), r).FirstErr()
		})
	}
	send("JS:N", func(n int) error {
		_, err := js.Publish(context.WithoutCancel(ctx), "ticks.N", numbered(n), jetstream.WithRetryAttempts(3))
		return err
	})
	send("ST:R", func(n int) error {
		return client.XAdd(context.WithoutCancel(ctx), &redis.XAddArgs{Stream: "ticks", Values: []any{"data", numbered(n)}}).Err()
	})

	data := t.TempDir()
	feeds := []string{
		"--data", data, "--log-level", "warn",
		"--feed", "kafka://" + hosts + "/ticks?start=earliest",
		"--feed", "nats+js://" + strings.TrimPrefix(stream.URL, "nats://") + "/ticks.>?name=js&start=earliest",
		"--feed", "redis+stream://" + store.Addr + "/ticks?name=st&start=earliest&levels=R",
	}
	program(t) // made before the clock runs
	began := time.Now()
	rng := rand.New(rand.NewPCG(uint64(began.UnixNano()), 0)) //nolint:gosec // moments need not be secret
	var before uint64
	for life := range lives {
		p := startServer(t, feeds...)
		want := before + uint64(1+rng.IntN(400))
		p.until(t, "/health", func(int, []byte) bool {
			before = 0
			for _, symbol := range []string{"KAFKA:K0", "JS:N", "ST:R"} {
				before += newestSeq(t, p, symbol)
			}
			return before >= want || time.Since(began) > time.Duration(life+1)*10*time.Second
		})
		p.kill(t)
	}
	cancel()
	wg.Wait()
	mu.Lock()
	defer mu.Unlock()
	p := startServer(t, feeds...)
	for symbol, n := range sent {
		p.until(t, "/health", func(int, []byte) bool { return newestSeq(t, p, symbol) >= uint64(n) })
	}
	p.stop(t)
	p = startServer(t, feeds...) // Nothing comes again either.
	p.ready(t)
	total := 0
	for symbol, n := range sent {
		all := history(t, p, "trades", symbol)
		for i, k := range all {
			if k.P.String() != strconv.Itoa(i+1) {
				t.Errorf("%s: trade %d of the tape is message %s", symbol, i+1, k.P)
				break
			}
		}
		if len(all) != n {
			t.Errorf("%s: %d trades on the tape, %d were sent", symbol, len(all), n)
		}
		total += n
	}
	p.stop(t)
	t.Logf("%d messages over %d kills in %v", total, lives, time.Since(began).Round(time.Millisecond))
}

// numbered is the n-th message: a bare number.
func numbered(n int) []byte { return strconv.AppendInt(nil, int64(n), 10) }

// newestSeq returns the number of the newest trade of a symbol, 0 when there is none.
func newestSeq(t *testing.T, p *process, symbol string) uint64 {
	t.Helper()
	status, _, body, err := p.get(t.Context(), "/v2/stocks/trades/latest?symbols="+symbol)
	if err != nil || status != http.StatusOK {
		return 0
	}
	var answer struct{ Trades map[string]tick }
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Fatalf("%.300s: %v", body, err)
	}
	return answer.Trades[symbol].Seq
}

// TestTutorialConsumer listens to a channel of Redis as the tutorial's program does, while a server is stopped and started: it gets
// each trade once, in the order of the tape.
func TestTutorialConsumer(t *testing.T) {
	r := brokertest.NewRedis(t)
	sub := r.Client(t, "").Subscribe(t.Context(), "prices")
	if _, err := sub.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	data := t.TempDir()
	args := []string{"--data", data, "--log-level", "warn", "--publish", "redis://" + r.Addr + "/prices", "--feed", "sim://?symbols=AAPL&rate=2000/s&seed=3"}
	type price struct {
		Timestamp string
		Symbol    string
		Price     json.Number
	}
	var got []price
	listen := func(n int) {
		t.Helper()
		for len(got) < n {
			m, err := sub.ReceiveMessage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var one price
			if err := json.Unmarshal([]byte(m.Payload), &one); err != nil {
				t.Fatalf("%s: %v", m.Payload, err)
			}
			got = append(got, one)
		}
	}
	for life := range 3 {
		p := startServer(t, args...)
		listen(len(got) + 500*(life+1))
		p.stop(t)
	}
	args[len(args)-1] = "sim://?symbols=IDLE&rate=1/s"
	p := startServer(t, args...)
	p.ready(t)
	all := history(t, p, "trades", "SIM:AAPL")
	var ours []price
	for seen := 0; ; listen(seen + 1) {
		for ; seen < len(got); seen++ {
			if got[seen].Symbol == "SIM:AAPL" {
				ours = append(ours, got[seen])
			}
		}
		if len(ours) >= len(all) {
			break
		}
	}
	if len(ours) > len(all) {
		t.Errorf("%d messages of %d trades", len(ours), len(all))
	}
	for i, k := range all {
		if ours[i].Price != k.P || ours[i].Timestamp != k.Time {
			t.Fatalf("message %d is %+v, trade %d is %+v", i+1, ours[i], k.Seq, k)
		}
	}
	p.stop(t)
	_ = sub.Close()
}
