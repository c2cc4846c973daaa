// SPDX-License-Identifier: Apache-2.0

package growth

import (
	"fmt"

	"dalio/impl/bench"
)

// Promise is what a curve is held to.
type Promise string

// The promises.
const (
	// Flat: the greatest median is above the least by no more than flatWithin.
	Flat Promise = "flat"
	// Linear: no median is off the line of least squares by more than lineWithin of it.
	Linear Promise = "linear"
	// None: what is shown is only shown.
	None Promise = "none"

	flatWithin = 0.15
	lineWithin = 0.10
)

// Curve is one series of points.
type Curve struct {
	// Panel is what changes from point to point, and Series what is done.
	Panel, Series string
	Promise       Promise
	// From is the first point, by its X, that the promise is of.
	From   float64
	Points []Point
}

// Name names the curve in reports.
func (c *Curve) Name() string { return c.Panel + "." + c.Series }

// Point is one setting.
type Point struct {
	X        float64
	Label    string
	Settings bench.Settings
	Work     bench.Work
	Dalio    bench.Dalio
}

// pendingKeys is how many keys there are where all have a write open: one for each
// session, of which there are no more.
const pendingKeys = 512

// Curves lists all that is measured of the coordinator, from settings that are changed
// in one thing for each point.
func Curves(s bench.Settings) []Curve {
	var all []Curve
	for _, kind := range []struct {
		name string
		work bench.Work
		// replicas is what is promised of more of them.
		replicas Promise
	}{{"read", bench.Work{}, Flat}, {"write", bench.Work{Writes: 1000}, Linear}} {
		curve := func(panel string, promise Promise, xs []int, change func(*bench.Settings, int)) {
			c := Curve{Panel: panel, Series: kind.name, Promise: promise}
			for _, x := range xs {
				p := Point{X: float64(x), Label: thousands(x), Settings: s, Work: kind.work}
				change(&p.Settings, x)
				c.Points = append(c.Points, p)
			}
			all = append(all, c)
		}
		powers := []int{1, 2, 4, 8, 16, 32, 64}
		curve("keys", Flat, []int{10_000, 100_000, 1_000_000, 10_000_000}, func(s *bench.Settings, x int) { s.Keys = x })
		curve("clients", Flat, powers, func(s *bench.Settings, x int) { s.ClientHosts = x })
		curve("clients_alone", None, powers, func(s *bench.Settings, x int) { s.Lanes, s.ClientHosts = x, x })
		curve("replicas", kind.replicas, []int{1, 2, 3, 5, 7}, func(s *bench.Settings, x int) { s.Replicas = x })
		if kind.replicas == Linear {
			// A write to one replica leaves as the frame it came in, without copies.
			all[len(all)-1].From = 2
		}
		curve("value_bytes", None, []int{16, 64, 256, 512, 1024}, func(s *bench.Settings, x int) { s.ValueSize = x })
	}
	return append(all, gate(s)...)
}

// gate is where reads meet writes that are not committed.
func gate(s bench.Settings) []Curve {
	half := bench.Work{Writes: 500}
	many, one := s, s
	one.Keys = 1
	free, full := s, s
	free.Keys, full.Keys = pendingKeys, pendingKeys
	full.Lanes = pendingKeys + s.InFlight
	dalio := bench.Dalio{Sessions: pendingKeys}
	return []Curve{{Panel: "gate", Series: "half_writes", Promise: None, Points: []Point{
		{X: 1, Label: thousands(s.Keys) + " keys", Settings: many, Work: half},
		{X: 2, Label: "one key", Settings: one, Work: half},
	}}, {Panel: "gate", Series: "read", Promise: None, Points: []Point{
		{X: 3, Label: "none pending", Settings: free, Dalio: dalio},
		{X: 4, Label: "all pending", Settings: full, Work: bench.Work{Pending: pendingKeys}, Dalio: dalio},
	}}}
}

func thousands(n int) string {
	switch {
	case n >= 1_000_000 && n%1_000_000 == 0:
		return fmt.Sprintf("%d M", n/1_000_000)
	case n >= 10_000 && n%1_000 == 0:
		return fmt.Sprintf("%d k", n/1_000)
	}
	return fmt.Sprint(n)
}
