// SPDX-License-Identifier: Apache-2.0

package event

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
)

// AppendLine appends the event to b as one line, as package json would write it.
func AppendLine(b []byte, e *Event) []byte {
	b = append(b, '{')
	b = appendText(b, "by", e.By)
	b = appendNumber(b, "n", e.N)
	b = appendNumber(b, "time", uint64(e.Time))
	b = appendText(b, "event", e.Event)
	b = appendNumber(b, "epoch", uint64(e.Epoch))
	b = appendNumber(b, "members", uint64(e.Members))
	b = appendNumber(b, "serving", uint64(e.Serving))
	b = appendText(b, "lane", e.Lane)
	b = appendText(b, "client", e.Client)
	b = appendNumber(b, "replica", uint64(e.Replica))
	b = appendSession(b, "session", e.Session)
	b = appendBig(b, "request", e.Request)
	b = appendBig(b, "nonce", e.Nonce)
	if e.Key != 0 {
		b = appendText(b, "key", fmt.Sprintf("%016x", uint64(e.Key)))
	}
	b = appendNumber(b, "hops", uint64(e.Hops))
	b = appendNumber(b, "sent", uint64(e.Sent))
	b = appendText(b, "value", e.Value)
	if !e.Version.IsZero() {
		b = appendName(b, "version")
		b = append(b, '"')
		b = strconv.AppendUint(b, uint64(e.Version.Epoch), 10)
		b = append(b, '.')
		b = strconv.AppendUint(b, e.Version.Seq, 10)
		b = append(b, '"')
	}
	b = appendSession(b, "writer", e.Writer)
	b = appendText(b, "sends", e.Sends)
	b = appendText(b, "status", e.Status)
	b = appendNumber(b, "targets", uint64(e.Targets))
	b = appendNumber(b, "to", uint64(e.To))
	b = appendText(b, "drop", e.Drop)
	if s := e.Slot; s != nil {
		b = appendName(b, "slot")
		b = append(b, `{"seq":`...)
		b = strconv.AppendUint(b, s.Seq, 10)
		b = append(b, `,"acks":`...)
		b = strconv.AppendUint(b, uint64(s.Acks), 10)
		b = appendTrue(b, "changed", s.Changed)
		b = appendSession(b, "owner", s.Owner)
		b = appendTrue(b, "taken", s.Taken)
		b = append(b, '}')
	}
	b = appendTrue(b, "applied", e.Applied)
	if e.Membership != nil {
		// These are rare.
		text, err := json.Marshal(e.Membership)
		if err != nil {
			panic(err) // It has nothing that has no text.
		}
		b = append(appendName(b, "membership"), text...)
	}
	return append(b, "}\n"...)
}

func appendName(b []byte, name string) []byte {
	if b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	b = append(b, '"')
	b = append(b, name...)
	return append(b, `":`...)
}

// appendText adds a text in which nothing needs to be escaped.
func appendText(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	b = append(appendName(b, name), '"')
	b = append(b, value...)
	return append(b, '"')
}

func appendNumber(b []byte, name string, n uint64) []byte {
	if n == 0 {
		return b
	}
	return strconv.AppendUint(appendName(b, name), n, 10)
}

// appendBig adds a number as text: it may be more than others read exactly.
func appendBig(b []byte, name string, n uint64) []byte {
	if n == 0 {
		return b
	}
	b = append(appendName(b, name), '"')
	return append(strconv.AppendUint(b, n, 10), '"')
}

func appendSession(b []byte, name string, s Session) []byte {
	if s == 0 {
		return b
	}
	b = append(appendName(b, name), '"')
	b = strconv.AppendUint(b, uint64(s.Epoch()), 10)
	b = append(b, '.')
	b = strconv.AppendUint(b, uint64(s.Count()), 10)
	b = append(b, '.')
	b = strconv.AppendUint(b, uint64(s.Slot()), 10)
	return append(b, '"')
}

func appendTrue(b []byte, name string, is bool) []byte {
	if !is {
		return b
	}
	return append(appendName(b, name), "true"...)
}

// ParseLine reads one line. A field that it does not know is an error: what is
// told in it would be checked by nobody.
func ParseLine(line []byte) (*Event, error) {
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	e := &Event{}
	if err := d.Decode(e); err != nil {
		return nil, fmt.Errorf("not an event: %w", err)
	}
	if d.More() {
		return nil, fmt.Errorf("not an event: there is more in the line")
	}
	switch {
	case e.By == "" || e.N == 0:
		return nil, fmt.Errorf("an event needs its teller, by, and a number n from 1 on")
	case !slices.Contains(Actions, e.Event) && !slices.Contains(Steps, e.Event):
		return nil, fmt.Errorf("there is no event %q", e.Event)
	}
	return e, nil
}
