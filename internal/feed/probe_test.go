package feed_test

import (
	"errors"
	"testing"
	"testing/synctest"

	"tapedeck/internal/feed"
)

// TestProbesGoOnAtOnce probes two feeds of which the first answers after the second: the first one's error is told, with its name.
func TestProbesGoOnAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		second := make(chan struct{})
		open := func(*feed.URL, feed.Start) (feed.Source, error) { return nil, errors.New("not in this test") }
		r := feed.NewRegistry(feed.Adapter{Scheme: "fake", Open: open, Probe: func(u *feed.URL) error {
			if u.Target == "a" {
				<-second
				return errors.New("no A there")
			}
			close(second)
			return errors.New("no B there")
		}})
		urls, err := r.ParseAll([]string{"fake://a", "fake://b"})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Probe(urls...); err == nil || err.Error() != "feed fake: no A there" {
			t.Errorf("got %v", err)
		}
		if err := r.Probe(); err != nil {
			t.Errorf("nothing to look for: got %v", err)
		}
	})
}
