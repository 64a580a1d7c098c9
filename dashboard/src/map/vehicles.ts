/**
 * Vehicles on a WebGL 2 canvas of their own above the map, so that their motion never repaints the map beneath.
 *
 * Places are sent to the graphics card relative to an origin near the view: a 32-bit float of the whole world would
 * shake by metres. The card glides them between fixes; this side sends data when data has changed, and asks for the
 * next picture only while something glides or the map moves.
 */
import type { Map as MapLibreMap } from "maplibre-gl";

import { drawnAt, Fleet, type Vehicle } from "../live/fleet.ts";
import { mercator, TILE_PIXELS } from "./mercator.ts";
import { PALETTES, type Theme } from "./palette.ts";
import { compile, instanceBuffer, spriteTexture, type Program } from "./program.ts";
import { FLOATS_PER_INSTANCE } from "./shaders.ts";
import { drawSprites, SPRITES, type Sprite } from "./sprites.ts";

const SPRITE: Record<Sprite, number> = { moving: 0, stopped: 1, offline: 2, halo: 3 };
const FARTHEST_ORIGIN = 0.004; // Mercator units; a float there has steps of some 10 mm
const PICK_RADIUS = 16; // CSS pixels
const HALO_SCALE = 1.75;

export class VehicleLayer {
  readonly #canvas = document.createElement("canvas");
  readonly #gl: WebGL2RenderingContext;
  readonly #program: Program;
  readonly #observer: ResizeObserver;
  #data = new Float32Array(FLOATS_PER_INSTANCE * 256);
  #instances = 0;
  #origin: [number, number] = [0.5, 0.5];
  #sentVersion = -1;
  #glidesUntil = 0;
  #chosen: number | null = null;
  #pending = 0;
  /** Called with the time after each picture. */
  onDrawn: (() => void) | null = null;

  constructor(
    private readonly map: MapLibreMap,
    private readonly fleet: Fleet,
    theme: Theme,
  ) {
    this.#canvas.className = "vehicles";
    this.#canvas.setAttribute("aria-hidden", "true");
    map.getCanvasContainer().append(this.#canvas);
    const gl = this.#canvas.getContext("webgl2", { antialias: false, premultipliedAlpha: true });
    if (gl === null) throw new Error("this browser has no WebGL 2");
    this.#gl = gl;
    this.#program = compile(gl);
    instanceBuffer(gl);
    spriteTexture(gl, drawSprites(PALETTES[theme]));
    this.#observer = new ResizeObserver(() => this.#resize());
    this.#observer.observe(map.getContainer());
    this.#resize();
    map.on("move", this.request);
  }

  /** Ask for a picture soon: the data, the view or the choice has changed. */
  request = (): void => {
    if (this.#pending === 0) this.#pending = requestAnimationFrame(() => this.#draw());
  };

  repaint(theme: Theme): void {
    spriteTexture(this.#gl, drawSprites(PALETTES[theme]));
    this.request();
  }

  choose(number: number | null): void {
    this.#chosen = number;
    this.#sentVersion = -1;
    this.request();
  }

  /** The vehicle that is drawn at a place of the screen, the nearest one within reach. */
  pick(x: number, y: number): Vehicle | null {
    const now = Fleet.now();
    const project = this.#projector();
    let best: Vehicle | null = null;
    let nearest = PICK_RADIUS;
    for (const vehicle of this.fleet.vehicles.values()) {
      const drawn = drawnAt(vehicle.glide, now);
      const [px, py] = project(drawn.x, drawn.y);
      const distance = Math.hypot(px - x, py - y);
      if (distance < nearest) {
        nearest = distance;
        best = vehicle;
      }
    }
    return best;
  }

  /** Where a vehicle is drawn now, in CSS pixels of the map. */
  placeOf(vehicle: Vehicle): [number, number] {
    const drawn = drawnAt(vehicle.glide, Fleet.now());
    return this.#projector()(drawn.x, drawn.y);
  }

  remove(): void {
    cancelAnimationFrame(this.#pending);
    this.map.off("move", this.request);
    this.#observer.disconnect();
    this.#canvas.remove();
  }

  #draw(): void {
    this.#pending = 0;
    const now = Fleet.now();
    this.#keepOriginNear();
    if (this.#sentVersion !== this.fleet.version) this.#sendData();
    this.#paint(now);
    this.onDrawn?.();
    if (now < this.#glidesUntil) this.request();
  }

  #paint(now: number): void {
    const [gl, program] = [this.#gl, this.#program];
    const { width, height } = this.#size();
    const [x, y] = this.#centre();
    const bearing = (this.map.getBearing() * Math.PI) / 180;
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.uniform2f(program.centre, x - this.#origin[0], y - this.#origin[1]);
    gl.uniform1f(program.scale, this.#scale());
    gl.uniform2f(program.turn, Math.cos(bearing), Math.sin(bearing));
    gl.uniform1f(program.bearing, bearing);
    gl.uniform2f(program.viewport, width, height);
    gl.uniform1f(program.now, now);
    gl.uniform1f(program.size, spriteSize(this.map.getZoom()));
    gl.uniform1f(program.sprites, SPRITES.length);
    gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, this.#instances);
  }

  /** Write all instances again: some hundred bytes a vehicle and change, less work than keeping track of which. */
  #sendData(): void {
    const wanted = (this.fleet.vehicles.size + 1) * FLOATS_PER_INSTANCE;
    if (this.#data.length < wanted) this.#data = new Float32Array(wanted * 2);
    this.#instances = 0;
    this.#glidesUntil = 0;
    const chosen = this.#chosen === null ? undefined : this.fleet.vehicles.get(this.#chosen);
    if (chosen !== undefined) this.#write(chosen, SPRITE.halo, HALO_SCALE);
    for (const presence of ["offline", "stopped", "moving"] as const) {
      for (const vehicle of this.fleet.vehicles.values()) {
        if (vehicle.presence === presence) this.#write(vehicle, SPRITE[presence], 1);
      }
    }
    const gl = this.#gl;
    gl.bufferData(gl.ARRAY_BUFFER, this.#data.subarray(0, this.#instances * FLOATS_PER_INSTANCE), gl.DYNAMIC_DRAW);
    this.#sentVersion = this.fleet.version;
  }

  #write(vehicle: Vehicle, sprite: number, scale: number): void {
    const { glide } = vehicle;
    const [ox, oy] = this.#origin;
    const turns = sprite === SPRITE.moving;
    this.#data.set(
      [
        glide.fromX - ox,
        glide.fromY - oy,
        glide.toX - ox,
        glide.toY - oy,
        turns ? glide.fromHeading : 0,
        turns ? glide.turn : 0,
        glide.start,
        glide.duration,
        sprite,
        scale,
      ],
      this.#instances * FLOATS_PER_INSTANCE,
    );
    this.#instances += 1;
    this.#glidesUntil = Math.max(this.#glidesUntil, glide.start + glide.duration);
  }

  #keepOriginNear(): void {
    const [x, y] = this.#centre();
    if (Math.hypot(x - this.#origin[0], y - this.#origin[1]) < FARTHEST_ORIGIN) return;
    this.#origin = [x, y];
    this.#sentVersion = -1;
  }

  #projector(): (x: number, y: number) => [number, number] {
    const { width, height } = this.#size();
    const [cx, cy] = this.#centre();
    const scale = this.#scale();
    const bearing = (this.map.getBearing() * Math.PI) / 180;
    const [cos, sin] = [Math.cos(bearing), Math.sin(bearing)];
    return (x, y) => {
      const [dx, dy] = [(x - cx) * scale, (y - cy) * scale];
      return [width / 2 + cos * dx + sin * dy, height / 2 - sin * dx + cos * dy];
    };
  }

  #centre(): [number, number] {
    const { lat, lng } = this.map.getCenter();
    return mercator(lat, lng);
  }

  #scale(): number {
    return TILE_PIXELS * 2 ** this.map.getZoom();
  }

  #size(): { width: number; height: number } {
    const { clientWidth, clientHeight } = this.map.getContainer();
    return { width: Math.max(clientWidth, 1), height: Math.max(clientHeight, 1) };
  }

  #resize(): void {
    const { width, height } = this.#size();
    const density = Math.min(window.devicePixelRatio, 2);
    this.#canvas.width = Math.round(width * density);
    this.#canvas.height = Math.round(height * density);
    this.#canvas.style.width = `${width}px`;
    this.#canvas.style.height = `${height}px`;
    this.#gl.viewport(0, 0, this.#canvas.width, this.#canvas.height);
    this.request();
  }
}

/** CSS pixels of a sprite: small over a whole region, large in a street. */
function spriteSize(zoom: number): number {
  return Math.min(Math.max(14 + (zoom - 10) * 3.2, 14), 34);
}
