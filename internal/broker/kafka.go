package broker

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// Kafka is how a cluster is reached: kafka://host:9092,host:9092/topic, kafkas:// when encrypted.
type Kafka struct {
	Topic   string
	secrets []string
	opts    []kgo.Opt
}

// KafkaParams returns the names of the parameters that NewKafka knows.
func KafkaParams() []string { return append(LoginParams(), "sasl") }

// NewKafka reads the target and the parameters of a URL.
func NewKafka(scheme, target string, p Params) (*Kafka, error) {
	a, err := ParseAddress(target, "9092")
	if err != nil {
		return nil, err
	}
	if !kafkaTopic(a.Path) {
		return nil, fmt.Errorf("the URL names no topic, as in %s://host:9092/topic; a topic is of letters, digits, points, dashes and underscores", scheme)
	}
	user, password, err := Login(&a, p)
	if err != nil {
		return nil, err
	}
	k := &Kafka{Topic: a.Path, secrets: []string{password}, opts: []kgo.Opt{
		kgo.SeedBrokers(a.Hosts...), kgo.ClientID("tapedeck"), kgo.DialTimeout(Patience), kgo.RequestTimeoutOverhead(Patience),
		kgo.RetryTimeout(Patience), kgo.RequestRetries(3), kgo.DisableClientMetrics(), kgo.MetadataMinAge(250 * time.Millisecond),
	}}
	encryption, err := TLS(p, strings.HasSuffix(scheme, "s"))
	if err != nil {
		return nil, err
	}
	if encryption != nil {
		k.opts = append(k.opts, kgo.DialTLSConfig(encryption))
	}
	mechanism, err := saslOf(p, user, password)
	if err != nil {
		return nil, err
	}
	if mechanism != nil {
		k.opts = append(k.opts, kgo.SASL(mechanism))
	}
	return k, nil
}

// kafkaTopic reports whether a topic can have the name.
func kafkaTopic(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && strings.IndexByte("._-", c) < 0 {
			return false
		}
	}
	return s != "" && s != "." && s != ".." && len(s) <= 249
}

func saslOf(p Params, user, password string) (sasl.Mechanism, error) {
	name := strings.ToLower(p.Get("sasl"))
	if name == "" {
		if user == "" {
			return nil, nil
		}
		name = "plain"
	}
	if user == "" {
		return nil, p.Errorf("sasl", "needs user= and password=")
	}
	switch name {
	case "plain":
		return plain.Auth{User: user, Pass: password}.AsMechanism(), nil
	case "scram-sha-256":
		return scram.Auth{User: user, Pass: password}.AsSha256Mechanism(), nil
	case "scram-sha-512":
		return scram.Auth{User: user, Pass: password}.AsSha512Mechanism(), nil
	}
	return nil, p.Errorf("sasl", "want plain, scram-sha-256 or scram-sha-512")
}

// Client returns a client; opts come on top of what the URL says. It connects when it is first asked something.
func (k *Kafka) Client(ctx context.Context, opts ...kgo.Opt) (*kgo.Client, error) {
	all := append([]kgo.Opt{kgo.WithContext(ctx)}, k.opts...)
	cl, err := kgo.NewClient(append(all, opts...)...)
	if err != nil {
		return nil, k.Hide(fmt.Errorf("set up the client: %w", err))
	}
	return cl, nil
}

// Hide returns err without the secrets of the URL.
func (k *Kafka) Hide(err error) error { return Hide(err, k.secrets...) }
