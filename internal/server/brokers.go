package server

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"tapedeck/internal/feed"
	"tapedeck/internal/feed/kafka"
	"tapedeck/internal/feed/mqtt"
	"tapedeck/internal/feed/nats"
	"tapedeck/internal/feed/redis"
	"tapedeck/internal/gateway"
	"tapedeck/internal/publish"
)

// brokers lists the sources of ticks that are message brokers.
func brokers() []feed.Adapter {
	return slices.Concat([]feed.Adapter{kafka.Adapter(false), kafka.Adapter(true)}, nats.Adapters(), redis.Adapters(), mqtt.Adapters())
}

// targets reads the URLs that ticks are published to, and names each: the second of a scheme is kafka-2, and so on.
func targets(list []string) ([]publish.Target, error) {
	targets := make([]publish.Target, 0, len(list))
	for i, s := range list {
		t, err := target(s)
		if err != nil {
			return nil, fmt.Errorf("publish: target %d: %w", i+1, err)
		}
		base := t.Name
		for n := 2; slices.ContainsFunc(targets, func(o publish.Target) bool { return o.Name == t.Name }); n++ {
			if t.Params.Has("name") {
				return nil, fmt.Errorf("publish: target %d: %q: two targets are called %s", i+1, t.Shown, t.Name)
			}
			t.Name = base + "-" + strconv.Itoa(n)
		}
		targets = append(targets, t)
	}
	return targets, nil
}

func target(s string) (publish.Target, error) {
	u, err := feed.ParseURL(s)
	if err != nil {
		return publish.Target{}, err
	}
	t := publish.Target{Name: u.Name, Scheme: u.Scheme, Target: u.Target, Shown: u.String(), Params: u}
	if !slices.Contains(publish.Schemes(), u.Scheme) {
		return t, fmt.Errorf("%q: nothing can be published to %s; there are %s", u, u.Scheme, strings.Join(publish.Schemes(), ", "))
	}
	if err := u.Only(append(publish.Params(u.Scheme), "name")...); err != nil {
		return t, err
	}
	if err := publish.Check(&t); err != nil {
		return t, fmt.Errorf("%q: %w", u, err)
	}
	return t, nil
}

// openPublishers makes what sends the tape to its targets. They begin at what is the end of the tape before a feed runs.
func (n *node) openPublishers() error {
	if len(n.targets) == 0 {
		return nil
	}
	metrics, err := publish.NewMetrics(n.metrics)
	if err != nil {
		return err
	}
	for _, t := range n.targets {
		p, err := publish.New(publish.Options{
			Target: t, Tape: n.tape, Dir: filepath.Join(n.opts.Config.Data, "publish"), Log: n.log.With("part", "publish"), Metrics: metrics,
		})
		if err != nil {
			return fmt.Errorf("publish to %s: %w", t.Name, err)
		}
		n.publishers = append(n.publishers, p)
	}
	return nil
}

// publish runs the publishers. A target that is away does not end the server.
func (n *node) publish(g *group) {
	for _, p := range n.publishers {
		g.run("publish", nil, p.Run)
	}
	if len(n.publishers) == 0 {
		return
	}
	g.run("publish", nil, func(ctx context.Context) error {
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-ticker.C:
				for _, p := range n.publishers {
					p.Measure()
				}
			}
		}
	})
}

// published tells /readyz how the targets are. One that is away makes nobody miss anything here.
func (n *node) published() []gateway.Part {
	var parts []gateway.Part
	for _, p := range n.publishers {
		i := p.Info()
		state := "live"
		if !i.Live {
			state = "down"
		}
		note := joinNote(state, i.Error)
		if i.Behind > 0 {
			note += fmt.Sprintf(", %d records behind the tape", i.Behind)
		}
		parts = append(parts, gateway.Part{Name: "publish " + i.Name, Note: note})
	}
	return parts
}
