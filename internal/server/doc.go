// Package server puts the parts together: it reads the configuration, opens the tape and the store, starts feeds, recorder and
// gateway, and ends them in the right order. It is the only package that knows all the others.
package server
