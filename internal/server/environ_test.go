package server

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMisspelt(t *testing.T) {
	got := Misspelt([]string{
		"TAPEDECK_FEDS=sim://", "TAPEDECK_LIMITS_PLAY=9", "TAPEDECK_log_level=debug", "TAPEDECK_LISTEN=:1", "TAPEDECK_SERVICE_HOST=10.0.0.1", "TAPEDECK_PORT=tcp://",
		"TAPEDECK_PORT_8000_TCP_ADDR=10.0.0.1", "TAPEDECK_LIVE=1", "PATH=/bin", "TAPEDECK_=", "TAPEDECK_X=1",
	})
	want := []string{
		"the environment variable TAPEDECK_FEDS is no setting and is ignored; did you mean TAPEDECK_FEEDS?",
		"the environment variable TAPEDECK_LIMITS_PLAY is no setting and is ignored; did you mean TAPEDECK_LIMITS_PLAYS?",
		"the environment variable TAPEDECK_log_level is no setting and is ignored; did you mean TAPEDECK_LOG_LEVEL?",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
