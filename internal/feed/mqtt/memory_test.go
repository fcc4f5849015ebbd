package mqtt

import (
	"testing"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// sent is a message as the client hands it over.
type sent struct {
	paho.Message
	id       uint16
	qos      byte
	again    bool
	retained bool
	payload  string
}

func (m sent) Duplicate() bool   { return m.again }
func (m sent) Qos() byte         { return m.qos }
func (m sent) Retained() bool    { return m.retained }
func (m sent) Topic() string     { return "t" }
func (m sent) MessageID() uint16 { return m.id }
func (m sent) Payload() []byte   { return []byte(m.payload) }

// TestRepeats leaves out what the broker says it sends again and was taken; the same value again is another reading.
func TestRepeats(t *testing.T) {
	s := &source{taken: newMemory()}
	for i, test := range []struct {
		m    sent
		want string
	}{
		{sent{id: 1, qos: 1, payload: "5"}, ""},
		{sent{id: 2, qos: 1, payload: "5"}, ""},
		{sent{id: 1, qos: 1, payload: "5", again: true}, "duplicate"},
		{sent{id: 3, qos: 1, payload: "5", again: true}, ""}, // it never arrived
		{sent{id: 3, qos: 1, payload: "6"}, ""},
		{sent{qos: 0, payload: "5", again: true}, ""},
		{sent{qos: 0, payload: "5", retained: true}, "retained"},
	} {
		if got := s.refuse(&arrival{Message: test.m}); got != test.want {
			t.Errorf("message %d: got %q, want %q", i, got, test.want)
		}
	}
}

func TestMemoryForgets(t *testing.T) {
	m := newMemory()
	for i := range uint16(3 * remembered) {
		m.add(m.key("t", i, nil))
	}
	if len(m.seen) != remembered || m.has(m.key("t", 2*remembered-1, nil)) || !m.has(m.key("t", 2*remembered, nil)) {
		t.Errorf("%d are remembered", len(m.seen))
	}
}

// FuzzFilter reads any topic: what is taken is one that a broker takes.
func FuzzFilter(f *testing.F) {
	f.Add("a/+/b/#")
	f.Add("+a")
	f.Fuzz(func(t *testing.T, s string) {
		if err := checkFilter(s); err == nil && s == "" {
			t.Error("no topic is taken")
		}
	})
}
