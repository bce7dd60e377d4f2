package calculator

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"nova-host/nova"
	"nova-host/nova/config"
	"nova-host/nova/keyvalue"
	"nova-host/nova/rpc"
)

// What a manifest grants: requests to others, configuration, state.

type target struct {
	Topic, Server, Version string
	Namespace              *string
	// Seconds.
	Timeout, Monitor float64
}

func seconds(number float64) time.Duration { return time.Duration(number * float64(time.Second)) }

func (of target) target() rpc.Target {
	return rpc.Target{
		Topic: of.Topic, Server: of.Server, Namespace: of.Namespace, Version: of.Version,
		Timeout: seconds(of.Timeout), Monitor: seconds(of.Monitor),
	}
}

type asked struct {
	Target    target
	Name      string
	Arguments json.RawMessage
}

func ask(args asked) (result json.RawMessage, err error) {
	err = args.Target.target().Call(args.Name, args.Arguments, &result)
	return result, err
}

func askKindly(args asked) (any, error) {
	result, err := ask(args)
	var problem *rpc.Error
	if errors.As(err, &problem) {
		switch problem.Kind {
		case rpc.Remote:
			return []string{"remote", problem.Module, problem.Class, problem.Message}, nil
		case rpc.TimedOut:
			return []string{"timed out", problem.Message}, nil
		}
	}
	return result, err
}

func askAll(args struct {
	Name  string
	Calls  [][2]json.RawMessage
}) ([]any, error) {
	calls, results := []*rpc.Asked{}, make([]json.RawMessage, len(args.Calls))
	for index, call := range args.Calls {
		var to target
		if err := json.Unmarshal(call[0], &to); err != nil {
			return nil, err
		}
		calls = append(calls, &rpc.Asked{Target: to.target(), Arguments: call[1], Result: &results[index]})
	}
	rpc.CallMany(args.Name, calls...)
	answers := make([]any, len(calls))
	for index, call := range calls {
		var problem *rpc.Error
		if errors.As(call.Err, &problem) {
			answers[index] = problem.Class
		} else {
			answers[index] = results[index]
		}
	}
	return answers, nil
}

func tell(args struct {
	Target    target
	Name      string
	Arguments json.RawMessage
	Everybody *bool
	ThenFail  *bool `json:"then_fail"`
}) (any, error) {
	send := args.Target.target().Cast
	if args.Everybody != nil && *args.Everybody {
		send = args.Target.target().Fanout
	}
	err := send(args.Name, args.Arguments)
	if err == nil && args.ThenFail != nil && *args.ThenFail {
		err = nova.Raise("ValueError", "told, and failed")
	}
	return nil, err
}

func setting(args struct{ Name string }) ([]any, error) {
	names := slices.Sorted(maps.Keys(config.All()))
	if value, ok := config.Get(args.Name); ok {
		return []any{value, names}, nil
	}
	return []any{nil, names}, nil
}

func remember(args struct {
	Key, Value string
	Ttl        *float64
	ThenFail   *bool `json:"then_fail"`
}) (bool, error) {
	var err error
	if args.Ttl != nil {
		err = keyvalue.SetFor(args.Key, []byte(args.Value), seconds(*args.Ttl))
	} else {
		err = keyvalue.Set(args.Key, []byte(args.Value))
	}
	if err != nil {
		return false, err
	}
	if args.ThenFail != nil && *args.ThenFail {
		return false, nova.Raise("ValueError", "remembered, and failed")
	}
	return keyvalue.Exists(args.Key)
}

func recall(args struct{ Key string }) ([]any, error) {
	value, err := keyvalue.Get(args.Key)
	if err != nil {
		return nil, err
	}
	exists, err := keyvalue.Exists(args.Key)
	if err != nil {
		return nil, err
	}
	keys, err := keyvalue.Keys()
	if value == nil {
		return []any{nil, exists, keys}, err
	}
	return []any{string(value), exists, keys}, err
}

func fill(args struct{ Number int }) (any, error) {
	for at := range args.Number {
		if err := keyvalue.Set(fmt.Sprintf("%05d", at), nil); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func forget(args struct{ Key string }) (any, error) { return nil, keyvalue.Delete(args.Key) }

func countBy(args struct {
	Key   string
	Delta int64
}) (int64, error) {
	return keyvalue.Increment(args.Key, args.Delta)
}

func exchange(args struct {
	Key           string
	Current, Next *string
}) (bool, error) {
	bytes := func(text *string) []byte {
		if text == nil {
			return nil
		}
		return []byte(*text)
	}
	return keyvalue.Swap(args.Key, bytes(args.Current), bytes(args.Next))
}
