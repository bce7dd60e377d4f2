package calculator

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"

	"nova-host/nova"
)

// mute is an error whose words are a panic.
type mute struct{}

func (mute) Error() string { panic("no words") }

// evasive is an error that does not let itself be looked at.
type evasive struct{}

func (evasive) Error() string { return "evasive" }
func (evasive) As(any) bool   { panic("evasive") }

// stringer is a value whose words are a panic.
type stringer struct{}

func (stringer) String() string { panic("no string") }

// marshaler is a value whose JSON is a panic.
type marshaler struct{}

func (marshaler) MarshalJSON() ([]byte, error) { panic("no JSON") }

func failOddly(args struct{ How string }) (any, error) {
	switch args.How {
	case "plain":
		return nil, errors.New("plain")
	case "bytes":
		return nil, errors.New("by\xfftes")
	case "nul":
		return nil, errors.New("a\x00b")
	case "mute":
		return nil, mute{}
	case "evasive":
		return nil, evasive{}
	case "nil error":
		var failure *nova.Failure
		return "fine", failure
	case "nil pointer":
		var missing *json.SyntaxError
		return nil, missing
	case "wrapped":
		return nil, fmt.Errorf("while adding: %w", nova.Raise("KeyError", "inner"))
	case "joined":
		return nil, errors.Join(errors.New("one"), mute{})
	case "failure":
		circle := map[string]any{}
		circle["circle"] = circle
		return nil, &nova.Failure{
			Class: "Cl\xff", Module: "mo\xff", Message: "wo\xffrds", Traceback: []string{"li\xffne"},
			Args: []any{func() {}, math.NaN(), mute{}, stringer{}, marshaler{}, circle, json.RawMessage("{"), "te\xffxt"},
			Kwargs: map[string]any{"na\xffme": make(chan int)},
		}
	case "no class":
		return nil, nova.Raise("", "words")
	case "large":
		return nil, errors.New(strings.Repeat("é", 1<<19))
	case "huge":
		return nil, errors.New(strings.Repeat("x", 4<<20))
	case "result":
		return math.Inf(1), nil
	case "logged":
		nova.Log(nova.Warn, "by\xfftes")
		return nil, errors.New("logged")
	case "panic nil":
		panic(nil)
	case "panic error":
		panic(nova.Raise("KeyError", "in a panic"))
	case "panic stringer":
		panic(stringer{})
	case "panic bytes":
		panic("by\xfftes")
	case "panic index":
		return args.How[len(args.How)+len(args.How)], nil
	case "panic nil map":
		var none map[string]int
		none["a"] = 1
	case "panic nil pointer":
		var none *nova.Failure
		return none.Class, nil
	case "panic conversion":
		var none any = 7
		return none.(string), nil
	}
	return nil, nova.Raise("KeyError", args.How)
}
