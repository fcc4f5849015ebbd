package natstape

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tapedeck/internal/tape"
)

// The stream and the subjects on it.
const (
	streamName  = "TAPE"
	subjectAll  = "tape.>"
	subjectFeed = "tape.0." // the partition is there for the day when one writer is not enough
	subjectVoid = "tape.void"
)

// What the stream's metadata say of the tape.
const (
	metaEpoch  = "tapedeck_epoch"
	metaFormat = "tapedeck_format" // major.minor: another major can't be read
	format     = "1.0"
)

// streamConfig is what the stream must be like. It never deletes anything by itself: a clock that is a day ahead would empty
// a stream with an age limit.
func streamConfig(epoch tape.Epoch, first tape.Position) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:               streamName,
		Description:        "Tapedeck's tape; use tapedeck to read it",
		Subjects:           []string{subjectAll},
		Storage:            jetstream.FileStorage,
		Retention:          jetstream.LimitsPolicy,
		Discard:            jetstream.DiscardNew,
		Replicas:           1,
		MaxMsgs:            -1,
		MaxBytes:           -1,
		MaxMsgsPerSubject:  -1,
		MaxMsgSize:         -1,
		DenyDelete:         true,
		DenyPurge:          true,
		AllowDirect:        true,
		AllowAtomicPublish: true,
		Duplicates:         100 * time.Millisecond, // not used; the least there is
		FirstSeq:           uint64(first),
		Metadata:           map[string]string{metaEpoch: epoch.String(), metaFormat: format},
	}
}

// lookup returns the stream's state and configuration, or nil when there is no stream.
func (s *session) lookup(ctx context.Context) (*jetstream.StreamInfo, error) {
	st, err := s.js.Stream(ctx, streamName)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look up the stream: %w", err)
	}
	info := st.CachedInfo()
	return info, checkFormat(info.Config.Metadata[metaFormat])
}

// checkFormat returns ErrFormat for a format whose major number isn't ours. None is fine: the description was made again.
func checkFormat(have string) error {
	major, _, _ := strings.Cut(have, ".")
	if known, _, _ := strings.Cut(format, "."); major != "" && major != known {
		return fmt.Errorf("%w: its stream has format %s, this program knows %s; use a newer tapedeck", ErrFormat, have, format)
	}
	return nil
}

// create makes the stream, over the files that are there if any.
func (s *session) create(ctx context.Context, epoch tape.Epoch, first tape.Position) (*jetstream.StreamInfo, error) {
	st, err := s.js.CreateStream(ctx, streamConfig(epoch, first))
	if err != nil {
		return nil, fmt.Errorf("make the stream: %w", err)
	}
	info, err := st.Info(ctx) // what CreateStream returned doesn't count what it found
	if err != nil {
		return nil, fmt.Errorf("look up the new stream: %w", err)
	}
	return info, nil
}

// update writes the epoch into the stream's metadata and brings its configuration to what it should be.
func (s *session) update(ctx context.Context, info *jetstream.StreamInfo, epoch tape.Epoch) error {
	want := streamConfig(epoch, tape.Position(info.Config.FirstSeq))
	have := info.Config
	if have.Metadata[metaEpoch] == epoch.String() && have.MaxAge == 0 && have.MaxBytes == want.MaxBytes && have.MaxMsgs == want.MaxMsgs &&
		have.AllowDirect && have.AllowAtomicPublish && have.DenyDelete && have.DenyPurge {
		return nil
	}
	meta := maps.Clone(have.Metadata)
	maps.Copy(meta, want.Metadata)
	want.Metadata = meta
	if _, err := s.js.UpdateStream(ctx, want); err != nil {
		return fmt.Errorf("update the stream: %w", err)
	}
	return nil
}

// hasSubject tells whether the stream counts messages on a subject, loadable or not.
func (s *session) hasSubject(ctx context.Context, subject string) (bool, error) {
	st, err := s.js.Stream(ctx, streamName)
	if err != nil {
		return false, unavailable("look up the stream", err)
	}
	info, err := st.Info(ctx, jetstream.WithSubjectFilter(subject))
	if err != nil {
		return false, unavailable("look up a subject", err)
	}
	return len(info.State.Subjects) > 0, nil
}

// metaEpochOf returns the epoch in a stream's metadata, zero when there is none.
func metaEpochOf(info *jetstream.StreamInfo) tape.Epoch {
	var e tape.Epoch
	b, err := hex.DecodeString(info.Config.Metadata[metaEpoch])
	if err != nil || len(b) != len(e) {
		return tape.Epoch{}
	}
	copy(e[:], b)
	return e
}

// subjectOf returns the subject of a feed's records: its name with every byte but letters, digits, - and _ as %XX, so that it
// is one token to NATS. Different names have different subjects.
func subjectOf(feed string) string {
	b := []byte(subjectFeed)
	for i := range len(feed) {
		switch c := feed[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
			b = append(b, c)
		default:
			b = append(b, '%')
			if c < 16 {
				b = append(b, '0')
			}
			b = strconv.AppendUint(b, uint64(c), 16)
		}
	}
	if feed == "" {
		b = append(b, '%')
	}
	return string(b)
}
