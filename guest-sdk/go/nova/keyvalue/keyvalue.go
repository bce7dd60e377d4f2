// Package keyvalue is state that outlives a request: keys with bytes, of this handler alone. The manifest says
// grants.keyvalue = true.
//
// What is set or deleted takes place when the handler has succeeded, and is seen by itself before; Increment and Swap
// happen at once, whatever becomes of the handler. An error is a RuntimeError for the handler's caller.
package keyvalue

import (
	"time"

	"nova-host/nova"
)

// Host is the store. Natively, in tests, there is none until a test says otherwise; a component fills it in.
var Host Store = nothing{}

// Store is what a store does.
type Store interface {
	Get(key string) ([]byte, error)
	Exists(key string) (bool, error)
	Set(key string, value []byte, ttl time.Duration) error
	Delete(key string) error
	Keys() ([]string, error)
	Increment(key string, delta int64) (int64, error)
	Swap(key string, current, next []byte) (bool, error)
}

// Get is the value of a key; nil where there is none, or its time is over.
func Get(key string) ([]byte, error) { return Host.Get(key) }

// Exists says whether there is a value.
func Exists(key string) (bool, error) { return Host.Exists(key) }

// Set sets a value. A key has 1 to 255 bytes.
func Set(key string, value []byte) error { return Host.Set(key, value, 0) }

// SetFor sets a value for a time.
func SetFor(key string, value []byte, ttl time.Duration) error { return Host.Set(key, value, ttl) }

// Delete takes a value away, if there is one.
func Delete(key string) error { return Host.Delete(key) }

// Keys are all keys, in the order of their bytes, without what this request has set.
func Keys() ([]string, error) { return Host.Keys() }

// Increment adds to a number, and returns the sum. No number is 0.
func Increment(key string, delta int64) (int64, error) { return Host.Increment(key, delta) }

// Swap puts one value in place of another, if that is the value there; nil is no value. It says whether it was.
func Swap(key string, current, next []byte) (bool, error) { return Host.Swap(key, current, next) }

func noStore() error {
	return nova.Raise("RuntimeError", "there is no store: it is not granted, or there is no request")
}

type nothing struct{}

func (nothing) Get(string) ([]byte, error)                { return nil, noStore() }
func (nothing) Exists(string) (bool, error)               { return false, noStore() }
func (nothing) Set(string, []byte, time.Duration) error   { return noStore() }
func (nothing) Delete(string) error                       { return noStore() }
func (nothing) Keys() ([]string, error)                   { return nil, noStore() }
func (nothing) Increment(string, int64) (int64, error)    { return 0, noStore() }
func (nothing) Swap(string, []byte, []byte) (bool, error) { return false, noStore() }
