// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"fmt"
)

// Memory returns how many bytes the kernel has allocated for each table, by the table's
// name in the kernel. All of it is taken when the data plane is loaded, but for the entries
// of the multicast group.
func (d *DataPlane) Memory() (bytes map[string]uint64, err error) {
	tables, err := openMaps(d.objects.Coordinator)
	if err != nil {
		return nil, fmt.Errorf("list the data plane's tables: %w", err)
	}
	defer func() { err = errors.Join(err, closeMaps(tables)) }()
	bytes = map[string]uint64{}
	for name, table := range tables {
		info, err := table.Info()
		if err != nil {
			return nil, fmt.Errorf("ask what table %s takes: %w", name, err)
		}
		taken, ok := info.Memlock()
		if !ok {
			return nil, fmt.Errorf("the kernel does not tell what table %s takes", name)
		}
		bytes[name] = taken
	}
	return bytes, nil
}
