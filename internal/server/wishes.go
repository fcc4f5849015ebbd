package server

import (
	"fmt"

	"tapedeck/internal/feed"
	"tapedeck/internal/gateway"
)

// offer lets the feeds among the URLs that bring symbols on demand say so. It returns nil when there are none.
func (s *Server) offer(urls []*feed.URL) (*feed.Wishes, error) {
	var wishes *feed.Wishes
	for _, u := range urls {
		o, err := s.reg.Offer(u)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", u, err)
		}
		if o == nil {
			continue
		}
		if wishes == nil {
			wishes = feed.NewWishes()
		}
		if err := wishes.Offer(*o); err != nil {
			return nil, fmt.Errorf("%q: %w", u, err)
		}
	}
	return wishes, nil
}

// wishesFor returns what takes the wishes of clients, nil when no feed brings anything on demand.
func (s *Server) wishesFor() gateway.Wishes {
	if s.wishes == nil {
		return nil
	}
	return s.wishes
}
