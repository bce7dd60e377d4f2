// Package config is what the manifest gives the handler, in its section `config`, as text. Values may be secrets: never log
// them, and never put them into an error.
package config

// Values are all values by their names. Natively, in tests, there are none until a test says otherwise.
var Values = func() map[string]string { return map[string]string{} }

// Get is one value; "" and false where the manifest has no such name.
func Get(name string) (string, bool) {
	value, ok := Values()[name]
	return value, ok
}

// All are all of them.
func All() map[string]string { return Values() }
