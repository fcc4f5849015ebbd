// Package mqtt brings messages of an MQTT broker onto the tape: sensors, meters, machines.
//
//	mqtt://host:1883/plant/+/temperature?levels={2}&user=…&password=env:MQTT_PASSWORD&qos=1
//
// It speaks MQTT 3.1.1. The topic may have wildcards; where a message does not say which symbol it is of, the levels of its topic
// do. What a broker retained is a state of the past and no tick. Messages are taken in the order in which the broker sends them.
// With session=NAME the broker keeps what is sent with QoS 1 while we are away; what it then sends twice is taken once.
package mqtt

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"

	"tapedeck/internal/broker"
	"tapedeck/internal/feed"
)

// Adapters returns the adapters of mqtt:// URLs, and of mqtts:// for encrypted connections.
func Adapters() []feed.Adapter {
	// What each feed took last, by its name: it must outlive a connection, after which the broker sends again.
	var mu sync.Mutex
	memories := make(map[string]*memory)
	var list []feed.Adapter
	for _, scheme := range []string{"mqtt", "mqtts"} {
		params := append(broker.LoginParams(), "qos", "session", "retained")
		list = append(list, feed.Adapter{
			Scheme: scheme,
			Params: append(params, broker.ReadParams()...),
			Check:  check,
			Open: func(u *feed.URL, start feed.Start) (feed.Source, error) {
				mu.Lock()
				defer mu.Unlock()
				if memories[u.Name] == nil {
					memories[u.Name] = newMemory()
				}
				return open(u, start, memories[u.Name])
			},
		})
	}
	return list
}

// The last level of the topic says which symbol a message is of, when the message does not.
const usualLevels = "{last}"

func usualPort(scheme string) string {
	if scheme == "mqtts" {
		return "8883"
	}
	return "1883"
}

func check(u *feed.URL) error {
	a, err := broker.ParseAddress(u.Target, usualPort(u.Scheme))
	if err == nil {
		err = checkFilter(a.Path)
	}
	if err != nil {
		return feed.Permanent(fmt.Errorf("%w: %w", feed.ErrURL, err))
	}
	if q, err := u.Uint("qos", 1); err != nil || q > 1 {
		return u.Errorf("qos", "want 0 or 1")
	}
	if s := u.Get("session"); u.Has("session") && (s == "" || len(s) > 64) {
		return u.Errorf("session", "want a name of up to 64 bytes, that no other client of the broker has")
	}
	if _, err := u.Bool("retained", false); err != nil {
		return err
	}
	return broker.CheckReader(u.Venue, u, usualLevels, "/")
}

// checkFilter says what is wrong with a topic, which may have wildcards.
func checkFilter(s string) error {
	if s == "" {
		return errors.New("the URL names no topic, as in mqtt://host:1883/plant/+/temperature")
	}
	if len(s) > 65535 || strings.ContainsRune(s, 0) {
		return errors.New("the topic is too long, or has a zero byte")
	}
	levels := strings.Split(s, "/")
	for i, level := range levels {
		if level == "+" || level == "#" && i == len(levels)-1 {
			continue
		}
		if strings.ContainsAny(level, "+#") {
			return fmt.Errorf("%.80q: a + stands for one whole level, a # for all that follow at the end (write %%23)", s)
		}
	}
	return nil
}

func open(u *feed.URL, start feed.Start, taken *memory) (feed.Source, error) {
	a, err := broker.ParseAddress(u.Target, usualPort(u.Scheme))
	if err != nil {
		return nil, feed.Permanent(err)
	}
	s := &source{filter: a.Path, hosts: a.Hosts, session: u.Get("session"), log: start.Log, taken: taken}
	if s.user, s.password, err = broker.Login(&a, u); err != nil {
		return nil, err
	}
	if s.encryption, err = broker.TLS(u, u.Scheme == "mqtts"); err != nil {
		return nil, err
	}
	if s.encryption != nil && len(a.Hosts) == 1 {
		s.encryption.ServerName, _, _ = net.SplitHostPort(a.Hosts[0])
	}
	qos, err := u.Uint("qos", 1)
	if err != nil {
		return nil, err
	}
	s.qos = byte(qos)
	if s.retained, err = u.Bool("retained", false); err != nil {
		return nil, err
	}
	s.reader, err = broker.NewReader(u.Venue, u, usualLevels, "/")
	return s, err
}
