// Joins a dynamic project's app to the world nova:rpc/dynamic.
import "APP";
export { handler } from "nova";
