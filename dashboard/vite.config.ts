import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

// During `npm run dev` the page comes from Vite and everything else from a running Outrider.
const OUTRIDER = "http://127.0.0.1:8000";

export default defineConfig({
  plugins: [svelte()],
  build: {
    outDir: "../api/dashboard/built",
    emptyOutDir: true,
    target: "es2023",
    modulePreload: false, // two chunks; the polyfill would be a script of its own
    chunkSizeWarningLimit: 1500, // MapLibre is one megabyte, and the page is nothing without it
  },
  worker: { format: "es" },
  server: {
    proxy: { "/api": { target: OUTRIDER, ws: true }, "/maps": OUTRIDER },
  },
});
