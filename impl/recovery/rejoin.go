// SPDX-License-Identifier: Apache-2.0

package recovery

import (
	"io"
	"strings"
)

// Rejoined is what a rejoin showed.
type Rejoined struct{}

func (r *Rejoined) print(io.Writer)                {}
func (r *Rejoined) plot(*strings.Builder, float64) {}
