"""Serializers: what turns a project's objects into what JSON has, and back."""

import abc

from oslo_serialization import jsonutils

__all__ = ["JsonPayloadSerializer", "NoOpSerializer", "Serializer"]


class Serializer(metaclass=abc.ABCMeta):
    """What a serializer has."""

    @abc.abstractmethod
    def serialize_entity(self, ctxt, entity):
        """An argument or a result as JSON has it."""

    @abc.abstractmethod
    def deserialize_entity(self, ctxt, entity):
        """An argument or a result as the project has it."""

    @abc.abstractmethod
    def serialize_context(self, ctxt):
        """The context as a dict."""

    @abc.abstractmethod
    def deserialize_context(self, ctxt):
        """The context as the project has it."""


class NoOpSerializer(Serializer):
    """Leaves everything as it is."""

    def serialize_entity(self, ctxt, entity):
        return entity

    def deserialize_entity(self, ctxt, entity):
        return entity

    def serialize_context(self, ctxt):
        return ctxt

    def deserialize_context(self, ctxt):
        return ctxt


class JsonPayloadSerializer(NoOpSerializer):
    """Sends lists, dicts, text and numbers, whatever it is given."""

    @staticmethod
    def serialize_entity(context, entity):
        return jsonutils.to_primitive(entity, convert_instances=True)
