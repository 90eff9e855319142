// SPDX-License-Identifier: MIT
import plugin from "./index.cjs";

export const { mark, HeaptallyPlugin, heaptally } = plugin;
export default plugin;
