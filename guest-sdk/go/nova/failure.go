package nova

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// mostWords are the bytes of a message; the rest is cut. All of a failure has to fit into limits.result, which is 16 MiB by
// default.
const mostWords = 2 << 20

// mostArguments are the bytes of arguments as JSON; beyond it the message stands for them.
const mostArguments = 6 << 20

// Failure is an exception for the caller.
type Failure struct {
	// Class and Module are those of the exception; without a module it is Python's own.
	Class, Module string
	Message       string
	// Args are the positional arguments: the message, where there are none.
	Args []any
	// Kwargs are the keyword arguments.
	Kwargs map[string]any
	// Traceback is where it happened, outermost first.
	Traceback []string
}

// Error makes a Failure an error.
func (failure *Failure) Error() string { return failure.Message }

// ErrDeclined leaves the request to others: what becomes of it is what would become of it without this handler. It may be
// wrapped. A method that returns another error after all, or none, has not declined.
var ErrDeclined = &Failure{
	Class: "NoSuchMethod", Module: "oslo_messaging.rpc.dispatcher", Message: "the handler declines the request",
}

// Raise is an exception of Python's own, such as ValueError.
func Raise(class, message string) *Failure { return &Failure{Class: class, Message: message} }

// JSON is the failure's arguments and keyword arguments. What JSON cannot say is there in words.
func (failure *Failure) JSON() (args, kwargs string) {
	positional := failure.Args
	if positional == nil {
		// With room for the escapes of all its letters.
		message := words(failure.Message)
		positional = []any{message[:min(len(message), mostArguments/6)]}
	}
	list := make([]string, len(positional))
	for index, value := range positional {
		list[index] = text(value)
	}
	named := []string{}
	for name, value := range failure.Kwargs {
		named = append(named, text(name)+": "+text(value))
	}
	args, kwargs = "["+strings.Join(list, ", ")+"]", "{"+strings.Join(named, ", ")+"}"
	if len(args) > mostArguments {
		message := words(failure.Message)
		args = "[" + text(message[:min(len(message), mostWords/4)]) + "]"
	}
	if len(kwargs) > mostArguments {
		kwargs = "{}"
	}
	return args, kwargs
}

// Told is the failure as the host takes it: texts are UTF-8 and of a size that fits, and a module is there.
func (failure *Failure) Told() Failure {
	module := failure.Module
	if module == "" {
		module = "builtins"
	}
	lines := []string{}
	for _, line := range failure.Traceback {
		lines = append(lines, words(line))
	}
	return Failure{Class: words(failure.Class), Module: words(module), Message: words(failure.Message), Traceback: lines}
}

// failureOf makes an exception of an error, or nil of none: a method's nil *Failure is no failure, though Go takes it for an
// error that is there.
func failureOf(err error) *Failure {
	if err == nil {
		return nil
	}
	if failure, is := err.(*Failure); is {
		return failure
	}
	if isDeclined(err) {
		return ErrDeclined
	}
	if failure := within(err); failure != nil {
		// What was said around it is for whoever reads the traceback: the exception is the inner one.
		outer := *failure
		if said := shown(err); said != failure.Message {
			outer.Traceback = append([]string{"error: " + said}, failure.Traceback...)
		}
		return &outer
	}
	return Raise("RuntimeError", shown(err))
}

// isDeclined says whether an error wraps ErrDeclined, if its own methods let it be found.
func isDeclined(err error) (declined bool) {
	defer func() {
		if recover() != nil {
			declined = false
		}
	}()
	return errors.Is(err, ErrDeclined)
}

// within is the failure that an error wraps, if its own methods let it be found.
func within(err error) (found *Failure) {
	defer func() {
		if recover() != nil {
			found = nil
		}
	}()
	errors.As(err, &found)
	return found
}

// shown is what an error or another value says. fmt says so where its method panics.
func shown(value any) string { return fmt.Sprint(value) }

// words are text as the host takes it: UTF-8, and not too much of it.
func words(text string) string {
	if len(text) > mostWords {
		text = text[:mostWords]
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

// text is JSON of whatever a failure holds: its words, where JSON has no other for it.
func text(value any) string {
	if written, ok := marshalled(value); ok {
		return written
	}
	said := "<" + reflect.TypeOf(value).String() + ">"
	switch value.(type) {
	case error, fmt.Stringer, float32, float64, complex64, complex128:
		said = shown(value)
	}
	written, _ := marshalled(words(said))
	return written
}

func marshalled(value any) (text string, ok bool) {
	defer func() {
		if recover() != nil {
			text, ok = "", false
		}
	}()
	written, err := json.Marshal(value)
	return strings.ToValidUTF8(string(written), "\uFFFD"), err == nil
}
