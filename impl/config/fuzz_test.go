// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

// FuzzDecode reads configurations as the store might hold them: what is accepted can
// be stored and read again, and what is not says that it is invalid.
func FuzzDecode(f *testing.F) {
	for _, c := range []Config{{}, {Epoch: 1, Generation: 2, Sessions: 16, MinMembers: 1}} {
		if b, err := c.encode(); err == nil {
			f.Add(string(b))
		}
	}
	f.Add(`{"Epoch":3,"Generation":1,"Sessions":16,"MinMembers":1,"Members":[{"ID":16,"InSync":true}]}`)
	f.Add(`{"epoch":-1}`)
	f.Add(strings.Repeat(`[`, 100))
	f.Fuzz(func(t *testing.T, text string) {
		c, err := decode([]byte(text))
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Errorf("%q is refused with %v, which is no ErrInvalid", text, err)
			}
			return
		}
		b, err := c.encode()
		if err != nil {
			t.Fatalf("%q is accepted as %+v, which can't be stored: %v", text, c, err)
		}
		if again, err := decode(b); err != nil || !reflect.DeepEqual(again, c) {
			t.Errorf("%+v is read back as %+v, %v", c, again, err)
		}
	})
}
