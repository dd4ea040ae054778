# One image for every program. What a container runs is its command, for example
#   node apps/api/dist/main.js          node apps/worker/dist/main.js          node apps/board/dist/main.js
#   node apps/cli/dist/main.js --help   node packages/simulator/dist/main.js --help

FROM node:24-bookworm-slim AS build
WORKDIR /app
# The pnpm that package.json names, so that the image is built as the workspace is.
COPY package.json ./
RUN npm install --global "$(node --print 'require("./package.json").packageManager')"
# The lockfile alone decides what is downloaded, so a change in the source reuses this layer. Without scripts here and
# below: the only one allowed downloads the Node that developers run, and this image has its own.
COPY pnpm-lock.yaml pnpm-workspace.yaml ./
RUN pnpm fetch --ignore-scripts
COPY . .
RUN pnpm install --frozen-lockfile --offline --ignore-scripts \
 && node_modules/.bin/tsc -b apps/*
# The same tree again with what runs, and nothing that builds.
RUN rm -rf node_modules apps/*/node_modules packages/*/node_modules apps/*/src packages/*/src \
 && pnpm install --prod --frozen-lockfile --offline --ignore-scripts

FROM node:24-bookworm-slim
ENV NODE_ENV=production
WORKDIR /app
# Owned by root: the programs can read their code, not change it.
COPY --from=build /app ./
USER node
CMD ["node", "apps/worker/dist/main.js"]
