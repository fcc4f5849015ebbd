package main

import (
	"errors"
	"io"

	"tapedeck/internal/columnar"
	"tapedeck/internal/layout"
	"tapedeck/internal/market"
)

// native opens a Parquet file that an export or the archive wrote; nil entries mean that it is somebody else's.
func native(src io.ReaderAt, size int64) (market.Kind, layout.Entries, error) {
	ticks, err := columnar.OpenTicks(src, size)
	if err == nil {
		return ticks.Kind(), tickEntries{ticks.Scan(market.TickQuery{})}, nil
	}
	if !errors.Is(err, columnar.ErrForeign) {
		return 0, nil, err
	}
	bars, err := columnar.OpenBars(src, size)
	switch {
	case errors.Is(err, columnar.ErrForeign):
		return 0, nil, nil
	case err != nil:
		return 0, nil, err
	}
	return market.KindBar, &barEntries{scan: bars.Scan()}, nil
}

type tickEntries struct{ scan *columnar.TickScan }

func (e tickEntries) Next() (*market.Entry, error) {
	row, err := e.scan.Next()
	if err != nil {
		return nil, err
	}
	return &row.Entry, nil
}

type barEntries struct {
	scan  *columnar.BarScan
	entry market.Entry
}

func (e *barEntries) Next() (*market.Entry, error) {
	bar, err := e.scan.Next()
	if err != nil {
		return nil, err
	}
	e.entry = bar.Entry()
	return &e.entry, nil
}
