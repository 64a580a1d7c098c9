/** Programs of the vehicle layer: one square an instance, placed between two fixes and turned by the graphics card. */

/** Numbers of one instance: from (x, y), to (x, y), heading, turn, start, duration, sprite, scale. */
export const FLOATS_PER_INSTANCE = 10;

export const VERTEX_SHADER = `#version 300 es
layout(location = 0) in vec4 a_move;    // from, to: Mercator units from the origin
layout(location = 1) in vec4 a_glide;   // heading, turn (degrees), start, duration (seconds)
layout(location = 2) in vec2 a_look;    // sprite, scale
uniform vec2 u_centre;                  // of the view, Mercator units from the origin
uniform float u_scale;                  // CSS pixels in a Mercator unit
uniform vec2 u_turn;                    // cosine and sine of the map's bearing
uniform float u_bearing;                // radians
uniform vec2 u_viewport;                // CSS pixels
uniform float u_now;                    // seconds
uniform float u_size;                   // of a sprite, CSS pixels
uniform float u_sprites;                // in the texture, side by side
out vec2 v_place;

void main() {
  float part = clamp((u_now - a_glide.z) / a_glide.w, 0.0, 1.0);
  vec2 away = (mix(a_move.xy, a_move.zw, part) - u_centre) * u_scale;
  vec2 pixel = vec2(u_turn.x * away.x + u_turn.y * away.y, -u_turn.y * away.x + u_turn.x * away.y);
  float heading = radians(a_glide.x + a_glide.y * min(part * 3.0, 1.0)) - u_bearing;
  vec2 corner = vec2(gl_VertexID & 1, gl_VertexID >> 1) - 0.5;
  vec2 turned = mat2(cos(heading), sin(heading), -sin(heading), cos(heading)) * corner;
  pixel += turned * u_size * a_look.y;
  gl_Position = vec4(pixel.x / u_viewport.x * 2.0, -pixel.y / u_viewport.y * 2.0, 0.0, 1.0);
  v_place = vec2((a_look.x + corner.x + 0.5) / u_sprites, corner.y + 0.5);
}`;

export const FRAGMENT_SHADER = `#version 300 es
precision mediump float;
uniform sampler2D u_texture;
in vec2 v_place;
out vec4 colour;

void main() {
  colour = texture(u_texture, v_place); // premultiplied
}`;
