// Package trace is the trace that the request is part of, in OpenTelemetry's words.
//
//	trace.SetAttribute("acme.flavor", "m1.small")
//	trace.AddEvent("hosts found", trace.Attributes{"acme.hosts": 17})
//
// They add to the span in which the handler runs, which the host begins and ends. What exceeds the host's limits is left out,
// and is never an error. Secrets and what only the caller may know do not belong into a trace.
package trace

import (
	"fmt"
	"math"
	"reflect"
	"sort"
	"strings"
)

// most are bytes of a text, and many attributes of an event, that are handed over: the host keeps less.
const (
	most = 1 << 16
	many = 128
)

// Attributes are values by their keys: a string, a bool, an integer or a float. Others are text, as fmt prints them.
type Attributes map[string]any

// SpanContext ties the request to its trace.
type SpanContext struct {
	// TraceID has 32 hexadecimal digits in lower case, SpanID 16.
	TraceID, SpanID string
	// TraceFlags are W3C's: 1 is sampled.
	TraceFlags uint8
}

// Traceparent is W3C's header, for what the handler asks of others by itself.
func (context SpanContext) Traceparent() string {
	return fmt.Sprintf("00-%s-%s-%02x", context.TraceID, context.SpanID, context.TraceFlags)
}

// Attribute is a key with a value, which is a string, a bool, an int64 or a float64.
type Attribute struct {
	Key   string
	Value any
}

// Host is the span. Natively, in tests, there is none until a test says otherwise; a component fills it in.
var Host = struct {
	SetAttribute func(attribute Attribute)
	AddEvent     func(name string, attributes []Attribute)
	IsRecording  func() bool
	Context      func() (SpanContext, bool)
}{
	SetAttribute: func(Attribute) {},
	AddEvent:     func(string, []Attribute) {},
	IsRecording:  func() bool { return false },
	Context:      func() (SpanContext, bool) { return SpanContext{}, false },
}

// SetAttribute adds an attribute to the span. A key that is there already has the new value; nil is left out.
func SetAttribute(key string, value any) {
	if value != nil {
		Host.SetAttribute(Attribute{words(key), lowered(value)})
	}
}

// AddEvent adds an event to the span, with the time of now.
func AddEvent(name string, attributes Attributes) {
	keys := make([]string, 0, len(attributes))
	for key, value := range attributes {
		if value != nil {
			keys = append(keys, key)
		}
	}
	sort.Strings(keys)
	list := []Attribute{}
	for _, key := range keys[:min(len(keys), many)] {
		list = append(list, Attribute{words(key), lowered(attributes[key])})
	}
	Host.AddEvent(words(name), list)
}

// IsRecording says whether anybody sees what is added. Where not, it need not be computed.
func IsRecording() bool { return Host.IsRecording() }

// Context is what ties the request to its trace; false where it is part of none.
func Context() (SpanContext, bool) { return Host.Context() }

// lowered is a value as the host takes it.
func lowered(value any) any {
	switch of := reflect.ValueOf(value); of.Kind() {
	case reflect.Bool:
		return of.Bool()
	case reflect.String:
		return words(of.String())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return of.Int()
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if of.Uint() <= math.MaxInt64 {
			return int64(of.Uint())
		}
	case reflect.Float32, reflect.Float64:
		return of.Float()
	}
	return words(fmt.Sprint(value))
}

// words are text as the host takes it: UTF-8, and not too much of it.
func words(text string) string { return strings.ToValidUTF8(text[:min(len(text), most)], "\uFFFD") }
