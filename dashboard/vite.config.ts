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
    chunkSizeWarningLimit: 1600, // MapLibre and Swagger UI are that large, and their pages nothing without them
    rolldownOptions: { input: ["index.html", "reference.html"] },
  },
  worker: { format: "es" },
  server: {
    proxy: { "/api": { target: OUTRIDER, ws: true }, "/maps": OUTRIDER },
  },
});
