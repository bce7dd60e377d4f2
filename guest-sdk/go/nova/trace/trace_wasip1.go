package trace

import "wit_component/nova_rpc_trace"

func init() {
	Host.SetAttribute = func(attribute Attribute) { nova_rpc_trace.SetAttribute(attribute.Key, value(attribute)) }
	Host.AddEvent = func(name string, attributes []Attribute) {
		list := []nova_rpc_trace.Attribute{}
		for _, attribute := range attributes {
			list = append(list, nova_rpc_trace.Attribute{Key: attribute.Key, Value: value(attribute)})
		}
		nova_rpc_trace.AddEvent(name, list)
	}
	Host.IsRecording = nova_rpc_trace.IsRecording
	Host.Context = func() (SpanContext, bool) {
		found := nova_rpc_trace.GetSpanContext()
		if found.IsNone() {
			return SpanContext{}, false
		}
		context := found.Some()
		return SpanContext{TraceID: context.TraceId, SpanID: context.SpanId, TraceFlags: context.TraceFlags}, true
	}
}

func value(attribute Attribute) nova_rpc_trace.Value {
	switch value := attribute.Value.(type) {
	case bool:
		return nova_rpc_trace.MakeValueTruth(value)
	case int64:
		return nova_rpc_trace.MakeValueInteger(value)
	case float64:
		return nova_rpc_trace.MakeValueNumber(value)
	case string:
		return nova_rpc_trace.MakeValueText(value)
	}
	return nova_rpc_trace.MakeValueText("")
}
