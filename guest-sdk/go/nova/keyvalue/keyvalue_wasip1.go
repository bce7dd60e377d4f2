package keyvalue

import (
	"time"

	"nova-host/nova"
	"wit_component/nova_rpc_keyvalue"

	witTypes "go.bytecodealliance.org/pkg/wit/types"
)

func init() { Host = host{} }

type host struct{}

func (host) Get(key string) ([]byte, error) {
	found, err := lift(nova_rpc_keyvalue.Get(key))
	if err != nil || found.IsNone() {
		return nil, err
	}
	// Not nil, where it is empty.
	return append([]byte{}, found.Some()...), nil
}

func (host) Exists(key string) (bool, error) { return lift(nova_rpc_keyvalue.Exists(key)) }

func (host) Set(key string, value []byte, ttl time.Duration) error {
	milliseconds := witTypes.None[uint64]()
	if ttl > 0 {
		milliseconds = witTypes.Some(uint64(ttl.Milliseconds()))
	}
	_, err := lift(nova_rpc_keyvalue.Set(key, value, milliseconds))
	return err
}

func (host) Delete(key string) error {
	_, err := lift(nova_rpc_keyvalue.Delete(key))
	return err
}

func (host) Keys() ([]string, error) {
	keys, cursor := []string{}, witTypes.None[string]()
	for {
		page, err := lift(nova_rpc_keyvalue.ListKeys(cursor))
		if err != nil {
			return nil, err
		}
		keys, cursor = append(keys, page.Keys...), page.Cursor
		if cursor.IsNone() {
			return keys, nil
		}
	}
}

func (host) Increment(key string, delta int64) (int64, error) {
	return lift(nova_rpc_keyvalue.Increment(key, delta))
}

func (host) Swap(key string, current, next []byte) (bool, error) {
	return lift(nova_rpc_keyvalue.Swap(key, optional(current), optional(next)))
}

func optional(value []byte) witTypes.Option[[]byte] {
	if value == nil {
		return witTypes.None[[]byte]()
	}
	return witTypes.Some(value)
}

func lift[T any](result witTypes.Result[T, nova_rpc_keyvalue.Error]) (value T, err error) {
	if result.IsOk() {
		return result.Ok(), nil
	}
	switch problem := result.Err(); problem.Tag() {
	case nova_rpc_keyvalue.ErrorNoSuchStore:
		err = noStore()
	case nova_rpc_keyvalue.ErrorAccessDenied:
		err = nova.Raise("RuntimeError", "access denied")
	default:
		err = nova.Raise("RuntimeError", problem.Other())
	}
	return value, err
}
