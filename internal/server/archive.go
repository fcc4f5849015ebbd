package server

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"tapedeck/internal/archive"
	"tapedeck/internal/store"
)

// openArchive returns the place of the archive that a configuration names. It touches nothing.
func openArchive(where, data string) (archive.Place, error) {
	if where == "" {
		where = filepath.Join(data, "archive")
	}
	place, err := archive.Open(where, filepath.Join(data, "archive.tmp"))
	if err != nil {
		return nil, fmt.Errorf("archive: %w", err)
	}
	return place, nil
}

// validateArchive reports what is wrong with the settings of the archive.
func (c *Config) validateArchive() error {
	switch {
	case c.Hot == 0 && (c.Keep != 0 || c.KeepBytes != 0):
		return errors.New("keep: only archived days are removed; say with hot when a day is archived, or leave keep and keep_bytes out")
	case c.Keep != 0 && c.Keep < c.Hot:
		return fmt.Errorf("keep: %s is less than hot, %s: a day is archived before it is removed", formatAge(c.Keep), formatAge(c.Hot))
	}
	place, err := openArchive(c.Archive, c.Data)
	if err != nil {
		return err
	}
	return place.Close()
}

// openArchiver makes the part that moves old days into the archive.
func (n *node) openArchiver() (err error) {
	c := &n.opts.Config
	n.archiver, err = store.NewArchiver(n.store, store.ArchiverOptions{
		Hot: c.Hot, Keep: c.Keep, KeepBytes: c.KeepBytes, Logger: n.log.With("part", "archive"), Registerer: n.metrics,
	})
	return err
}

// age is a duration that may be given in days, or 0.
func age(key, about string, at func(*Config) *time.Duration) setting {
	return one(key, about, func(c *Config, s string) error {
		v, err := parseAge(s)
		if err != nil {
			return err
		}
		*at(c) = v
		return nil
	}, func(c *Config) string { return formatAge(*at(c)) })
}

const day = 24 * time.Hour

// maxAge is some 200 years; more does not fit into a duration with certainty.
const maxAge = 73_000 * day

// parseAge reads a duration such as 36h, or a number of days such as 7d.
func parseAge(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 32)
		if err != nil || time.Duration(n) > maxAge/day {
			return 0, fmt.Errorf("%q is not an age such as 7d or 36h", s)
		}
		return time.Duration(n) * day, nil
	}
	v, err := time.ParseDuration(s)
	if err != nil || v < 0 || v > maxAge {
		return 0, fmt.Errorf("%q is not an age such as 7d or 36h", s)
	}
	return v, nil
}

func formatAge(v time.Duration) string {
	if v != 0 && v%day == 0 {
		return strconv.FormatInt(int64(v/day), 10) + "d"
	}
	return v.String()
}
