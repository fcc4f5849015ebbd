package server

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"

	"tapedeck/internal/feed"
	"tapedeck/internal/feed/line"
	"tapedeck/internal/venue"
	"tapedeck/internal/venue/alpaca"
	"tapedeck/internal/venue/finnhub"
	"tapedeck/internal/venue/massive"
)

// vendorKinds are the feeds of vendors who want a key. It is named in the URL (key=env:NAME, key=file:PATH) or in the environment
// variable that the vendor's own programs read. The symbols on demand are those that the vendor's smallest plan allows.
func vendorKinds() []line.Kind {
	return []line.Kind{
		vendorKind("alpaca", 30, []string{"feed", "key", "secret", "auth", "encoding"}, newAlpaca),
		vendorKind("finnhub", 50, []string{"key"}, newFinnhub),
		vendorKind("massive", 0, []string{"feed", "key", "delayed"}, newMassive),
	}
}

// maker makes the venue of a URL with secrets that secret finds: by the name of the parameter, and that of the variable.
type maker func(u *feed.URL, secret func(name, variable string) (string, error)) (venue.Venue, error)

// vendorKind is a kind of feeds that needs secrets. A URL is checked without them, since they may be in files.
func vendorKind(scheme string, limit int, params []string, construct maker) line.Kind {
	return line.Kind{
		Scheme: scheme, Params: params, Limit: limit,
		New: func(u *feed.URL) (venue.Venue, error) {
			v, err := construct(u, func(name, variable string) (string, error) {
				s, err := u.Secret(name)
				return cmp.Or(s, os.Getenv(variable)), err
			})
			if err != nil {
				return nil, err
			}
			return v, nil
		},
		Check: func(u *feed.URL) error {
			v, err := construct(u, func(string, string) (string, error) { return "not looked at", nil })
			if err != nil {
				return feed.Permanent(fmt.Errorf("%w: %w", feed.ErrURL, err))
			}
			return checkNames(u, v)
		},
	}
}

// checkNames refuses symbols that the venue cannot have.
func checkNames(u *feed.URL, v venue.Venue) error {
	demand, err := u.Bool("on-demand", false)
	if err != nil {
		return err
	}
	names := feed.SplitList(u.Target)
	if len(names) == 0 && !demand {
		return feed.Permanent(fmt.Errorf("%w: it names no symbols; write %s://NAME,NAME, or on-demand=true", feed.ErrURL, u.Scheme))
	}
	var seen []string
	for _, name := range names {
		in, err := v.Name(name)
		if err == nil && slices.Contains(seen, in.Native) {
			err = fmt.Errorf("%s is named twice", name)
		}
		if err != nil {
			return feed.Permanent(fmt.Errorf("%w: %w", feed.ErrURL, err))
		}
		seen = append(seen, in.Native)
	}
	return nil
}

func newAlpaca(u *feed.URL, secret func(name, variable string) (string, error)) (venue.Venue, error) {
	o := alpaca.Options{Venue: u.Venue, Feed: u.Get("feed"), URL: u.Get("url"), REST: u.Get("rest")}
	switch u.Get("auth") {
	case "", "message":
	case "header":
		o.Header = true
	default:
		return nil, u.Errorf("auth", "want message or header")
	}
	switch u.Get("encoding") {
	case "", "json":
	case "msgpack":
		o.Packed = true
	default:
		return nil, u.Errorf("encoding", "want json or msgpack")
	}
	var err, err2 error
	o.Key, err = secret("key", "APCA_API_KEY_ID")
	o.Secret, err2 = secret("secret", "APCA_API_SECRET_KEY")
	if err := errors.Join(err, err2); err != nil {
		return nil, err
	}
	return alpaca.New(o)
}

func newFinnhub(u *feed.URL, secret func(name, variable string) (string, error)) (venue.Venue, error) {
	token, err := secret("key", "FINNHUB_API_KEY")
	if err != nil {
		return nil, err
	}
	return finnhub.New(finnhub.Options{Venue: u.Venue, URL: u.Get("url"), Token: token})
}

func newMassive(u *feed.URL, secret func(name, variable string) (string, error)) (venue.Venue, error) {
	delayed, err := u.Bool("delayed", false)
	if err != nil {
		return nil, err
	}
	key, err := secret("key", "MASSIVE_API_KEY")
	if err != nil {
		return nil, err
	}
	return massive.New(massive.Options{Venue: u.Venue, Feed: u.Get("feed"), URL: u.Get("url"), REST: u.Get("rest"), Delayed: delayed, Key: key})
}
