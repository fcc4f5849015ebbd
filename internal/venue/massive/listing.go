package massive

import (
	"tapedeck/internal/venue"
)

// Listing implements venue.Venue.
func (v *Venue) Listing() venue.Listing { return noListing{} }

type noListing struct{}

func (noListing) First([]string) *venue.Request { return nil }

func (noListing) Page(*venue.Request, *venue.Reply, []venue.Instrument) ([]venue.Instrument, *venue.Request, error) {
	return nil, nil, nil
}
